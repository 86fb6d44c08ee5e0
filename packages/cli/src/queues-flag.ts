import type { Handler } from "@hark/worker";
import { integerFlag } from "./integer-flag.ts";
import { UsageError } from "./usage-error.ts";

/** Default number of jobs of a queue that run at once, as in the worker. */
const defaultConcurrency = 10;

/**
 * Returns the queues to work on, each with how many of its jobs may run at once. --queues is the
 * whole list, unless it holds "*", which stands for the queues of the handlers. Without --queues,
 * they are the queues of the handlers and of the module.
 */
export function chooseQueues(given: {
  handlers: readonly Handler[];
  /** --queues and --concurrency */
  queues: string | undefined;
  concurrency: string | undefined;
  /** As the module exports them. */
  ofModule: number | Record<string, number> | undefined;
}): Record<string, number> {
  const { handlers, ofModule } = given;
  const concurrency = integerFlag("concurrency", given.concurrency, { least: 1, most: 10_000 });
  const named = typeof ofModule === "number" ? { "*": ofModule } : (ofModule ?? {});
  const otherwise = concurrency ?? named["*"] ?? defaultConcurrency;
  if (given.queues === undefined) {
    const { "*": _, ...own } = named;
    const ofHandlers = Object.fromEntries(handlers.map(({ job }) => [job.queue, otherwise]));
    return { ...ofHandlers, ...own };
  }

  const queues = parseQueues(given.queues, otherwise);
  if ("*" in queues) {
    const { "*": all, ...own } = queues;
    const ofHandlers = Object.fromEntries(handlers.map(({ job }) => [job.queue, all]));
    return { ...ofHandlers, ...own };
  }
  return queues;
}

/**
 * Parses "email:10,default". A queue without a number gets `otherwise`. A name may hold a colon:
 * "tenant:7:10" is queue "tenant:7".
 */
function parseQueues(text: string, otherwise: number): Record<string, number> {
  const queues: Record<string, number> = {};
  for (const part of text.split(",")) {
    const [, queue, limit] = /^\s*(\*|[a-z0-9](?:[a-z0-9_.:-]*?[a-z0-9_.-])??)(?::(\d+))?\s*$/.exec(part) ?? [];
    if (queue === undefined)
      throw new UsageError(
        `--queues must list queue names with optional limits, as in email:10,default, not "${text}".`,
      );
    if (Object.hasOwn(queues, queue)) throw new UsageError(`--queues names ${queue} twice.`);
    queues[queue] = integerFlag("queues", limit, { least: 1, most: 10_000 }) ?? otherwise;
  }
  return queues;
}
