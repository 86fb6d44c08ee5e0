import type { Handler } from "@hark/worker";
import { integerFlag } from "./integer-flag.ts";
import { UsageError } from "./usage-error.ts";

/** Jobs of a queue that run at once if nothing else is said; as in the worker. */
const defaultConcurrency = 10;

/**
 * Which queues to work, each with how many of its jobs may run at once. --queues names them all: others are left alone, unless
 * "*" is among them. Without it, they are those of the handlers' job types and those that the module names.
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

/** Reads "email:10,default"; a queue without a number gets `otherwise`. A name may hold a colon too: "tenant:7:10" is ten of it. */
function parseQueues(text: string, otherwise: number): Record<string, number> {
  const queues: Record<string, number> = {};
  for (const part of text.split(",")) {
    const [, queue, limit] = /^\s*(\*|[a-z0-9](?:[a-z0-9_.:-]*?[a-z0-9_.-])??)(?::(\d+))?\s*$/.exec(part) ?? [];
    if (queue === undefined)
      throw new UsageError(`--queues wants queue names with their limits, as in email:10,default, not "${text}".`);
    if (Object.hasOwn(queues, queue)) throw new UsageError(`--queues names ${queue} twice.`);
    queues[queue] = integerFlag("queues", limit, { least: 1, most: 10_000 }) ?? otherwise;
  }
  return queues;
}
