import { checkOptions, type OptionKinds } from "../check-options.ts";
import { type Duration, parseDuration } from "../clock.ts";
import type { Database } from "../database.ts";
import { quote } from "../errors/hark-error.ts";
import { InvalidOptionsError } from "../errors/index.ts";
import { pruneDeadJobs as pruneStatement } from "../statements/upkeep/prune-dead-jobs.ts";

export interface PruneOptions {
  /** Only jobs that died at least this long ago. `0` means all. */
  olderThan: Duration;
  /** Only this job type. Default: every type. */
  type?: string | undefined;
  /** Most dead letters to delete. Default: no limit. */
  limit?: number | undefined;
}

const pruneOptions: OptionKinds<PruneOptions> = { olderThan: "any", type: "text", limit: "any" };

/** Dead letters deleted in one statement, so that their rows are locked only for a moment. */
const batchSize = 1_000;

/**
 * Deletes old dead letters for ever, oldest first, a thousand in each statement. Returns how many.
 * @throws InvalidOptionsError
 */
export async function pruneDeadJobs(db: Database, options: PruneOptions): Promise<number> {
  checkOptions("pruneDeadJobs", options, pruneOptions);
  const { olderThan, type, limit } = options;
  const olderThanMs = parseDuration("olderThan", olderThan);
  if (limit !== undefined && !(Number.isInteger(limit) && limit > 0)) {
    const message = `must be a whole number above 0, not ${quote(limit)}`;
    throw new InvalidOptionsError("pruneDeadJobs", [{ path: ["limit"], message }]);
  }
  let all = 0;
  for (;;) {
    const wanted = Math.min(batchSize, (limit ?? Number.POSITIVE_INFINITY) - all);
    const [{ pruned } = { pruned: 0 }] = await pruneStatement(db, { olderThanMs, type: type ?? null, limit: wanted });
    all += pruned;
    if (pruned < wanted || all === limit) return all;
  }
}

/** Counts the dead letters that pruneDeadJobs() would delete, without a limit. */
export async function countPrunable(db: Database, { olderThan, type }: PruneOptions): Promise<number> {
  const { rows } = await db.query({
    text: `select count(*)::text as count from hark.dead_jobs
            where finished_at <= clock_timestamp() - $1::float8 * interval '1 ms' and ($2::text is null or type = $2)`,
    values: [parseDuration("olderThan", olderThan), type ?? null],
  });
  return Number(rows[0]!.count);
}
