import { type Database, getJob } from "@hark/core";
import { deadJobIdsAfter, statements } from "@hark/core/internal";
import { command } from "../command.ts";
import { findConnection, withDatabase } from "../connection.ts";
import { exitCodes } from "../exit-codes.ts";
import { parseJobId } from "../job-id.ts";
import type { Output } from "../output.ts";
import { UsageError } from "../usage-error.ts";

/** Dead letters requeued in one statement. Few, so that their rows are locked only for a moment. */
const batchSize = 200;

export const deadRequeueCommand = command({
  examples: ["hark dead requeue 4711 4712", "hark dead requeue --all --type email.welcome --dry-run"],
  usage: "<id...> | --all",
  about: `Makes dead letters ready again, with their attempts counted from zero, and prints their ids. Exits with 1 if a dead letter was
not found, or cannot be requeued because an unfinished job has its unique key.`,
  words: { least: 0, most: Number.POSITIVE_INFINITY },
  flags: {
    all: { type: "boolean", help: "all dead letters" },
    type: { type: "string", value: "<type>", help: "with --all: only this job type" },
    "dry-run": { type: "boolean", help: "only print what would be requeued" },
  },
  async run({ values, words, output }) {
    const { all, type } = values;
    const isDry = values["dry-run"] === true;
    if (all ? words.length > 0 : words.length === 0) {
      throw new UsageError(`Give either the ids of dead letters or --all; "hark dead list" shows ids.`);
    }
    if (type !== undefined && !all) throw new UsageError("--type needs --all.");
    const ids = words.map(parseJobId);

    const result = await withDatabase(await findConnection(values), (db) => {
      if (all) return isDry ? previewAll(db, type) : requeueAll(db, type);
      return isDry ? preview(db, ids) : requeue(db, ids);
    });
    return report(result, isDry, output);
  },
});

interface Result {
  readonly requeued: bigint[];
  readonly missing: bigint[];
  /** Not requeued, because an unfinished job has their unique key. */
  readonly blocked: bigint[];
}

async function requeue(db: Database, ids: readonly bigint[]): Promise<Result> {
  const wanted = [...new Set(ids)];
  const found = new Map<bigint, boolean>();
  for (let start = 0; start < wanted.length; start += batchSize) {
    for (const { id, isRequeued } of await statements.requeueJobs(db, {
      ids: wanted.slice(start, start + batchSize),
    })) {
      found.set(id, isRequeued);
    }
  }
  return {
    requeued: wanted.filter((id) => found.get(id) === true),
    missing: wanted.filter((id) => !found.has(id)),
    blocked: wanted.filter((id) => found.get(id) === false),
  };
}

/**
 * Requeues in the order of ids. Each dead letter is tried once, also if its job dies again
 * meanwhile or it is blocked.
 */
async function requeueAll(db: Database, type: string | undefined): Promise<Result> {
  const requeued: bigint[] = [];
  const blocked: bigint[] = [];
  for await (const ids of batches(db, type)) {
    const result = await requeue(db, ids); // a missing one was requeued by another process
    requeued.push(...result.requeued);
    blocked.push(...result.blocked);
  }
  return { requeued, missing: [], blocked };
}

async function* batches(db: Database, type: string | undefined): AsyncGenerator<bigint[], void> {
  let after = 0n;
  for (;;) {
    const ids = await deadJobIdsAfter(db, { after, limit: batchSize, type });
    if (ids.length === 0) return;
    yield ids;
    after = ids.at(-1)!;
  }
}

async function preview(db: Database, ids: readonly bigint[]): Promise<Result> {
  const requeued: bigint[] = [];
  const missing: bigint[] = [];
  for (const id of new Set(ids)) ((await getJob(db, id))?.state === "dead" ? requeued : missing).push(id);
  return { requeued, missing, blocked: [] };
}

async function previewAll(db: Database, type: string | undefined): Promise<Result> {
  const requeued: bigint[] = [];
  for await (const ids of batches(db, type)) requeued.push(...ids);
  return { requeued, missing: [], blocked: [] };
}

function report({ requeued, missing, blocked }: Result, isDry: boolean, output: Output) {
  for (const id of requeued) output.line(String(id));
  output.document({ dryRun: isDry, requeued, missing, blocked });

  output.note(isDry ? `would requeue ${requeued.length}; nothing was changed` : `requeued ${requeued.length}`);
  if (missing.length > 0) output.note(`not dead letters: ${missing.join(", ")}`);
  if (blocked.length > 0)
    output.note(`not requeued, because an unfinished job has their unique key: ${blocked.join(", ")}`);
  return missing.length + blocked.length > 0 ? exitCodes.finding : exitCodes.ok;
}
