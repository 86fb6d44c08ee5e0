import { checkOptions, EnqueueFromError, InvalidOptionsError, quote, type statements } from "@hark/core/internal";
import { type EnqueueFromOptions, fromOptions } from "./options.ts";

/** How many jobs an import inserted, and how many had an unfinished job with their unique key. */
export interface EnqueuedFrom {
  inserted: number;
  duplicates: number;
}

interface Steps<Request> {
  check: (request: Request) => Promise<statements.NewJob>;
  insert: (jobs: statements.NewJob[]) => Promise<statements.InsertedJob[]>;
}

/** Most payload in one insert, in characters. It bounds the memory for large payloads. */
const mostCharacters = 4 * 1_024 * 1_024;
const mostJobs = 10_000;

/**
 * Reads jobs from `source` and inserts them in batches, in order. It collects one batch while the
 * one before is written, and reads no further ahead. It uses plain inserts and not COPY:
 * docs/decisions/0008 has the figures.
 */
export async function enqueueFrom<Request>(
  source: AsyncIterable<Request> | Iterable<Request>,
  options: EnqueueFromOptions,
  { check, insert }: Steps<Request>,
): Promise<EnqueuedFrom> {
  checkOptions("enqueueFrom", options, fromOptions);
  const { batchSize = 1_000 } = options;
  const isIterable =
    typeof source === "object" && source !== null && (Symbol.iterator in source || Symbol.asyncIterator in source);
  if (!isIterable)
    throw new InvalidOptionsError("enqueueFrom", [
      { path: ["source"], message: "must be an iterable of { job, payload }" },
    ]);
  if (!(Number.isInteger(batchSize) && batchSize >= 1 && batchSize <= mostJobs)) {
    const message = `must be an integer from 1 to ${mostJobs}, not ${quote(batchSize)}`;
    throw new InvalidOptionsError("enqueueFrom", [{ path: ["batchSize"], message }]);
  }
  const done: EnqueuedFrom = { inserted: 0, duplicates: 0 };
  let position = 0;
  let batch: statements.NewJob[] = [];
  let characters = 0;
  let writing: Promise<void> = Promise.resolve();

  const write = async (jobs: statements.NewJob[], first: number) => {
    try {
      for (const { status } of await insert(jobs)) done[status === "inserted" ? "inserted" : "duplicates"] += 1;
    } catch (cause) {
      throw new EnqueueFromError({ first, last: first + jobs.length - 1, ...done }, cause);
    }
  };
  const flush = async () => {
    await writing;
    if (batch.length === 0) return;
    writing = write(batch, position - batch.length);
    writing.catch(() => {}); // rethrown at the next flush
    batch = [];
    characters = 0;
  };

  try {
    for await (const request of source) {
      const job = await check(request);
      batch.push(job);
      position += 1;
      characters += job.payloadJson.length;
      if (batch.length === batchSize || characters >= mostCharacters) await flush();
    }
    await flush();
  } catch (cause) {
    await writing; // report a failed insert first, and count everything that was written
    throw cause instanceof EnqueueFromError
      ? cause
      : new EnqueueFromError({ first: position, last: position, ...done }, cause);
  }
  await writing;
  return done;
}
