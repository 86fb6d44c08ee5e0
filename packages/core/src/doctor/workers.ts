import type { Queryable } from "../database.ts";

export interface LiveWorker {
  readonly name: string;
  readonly hostname: string;
  readonly pid: number;
  /** Its settings by queue. */
  readonly queues: Readonly<Record<string, unknown>>;
  readonly startedAt: Date;
}

/** How many workers hold a lease, and the oldest `limit` of them. */
export async function listLiveWorkers(
  db: Queryable,
  { limit }: { limit: number },
): Promise<{ live: number; workers: LiveWorker[] }> {
  const { rows } = await db.query({
    text: `select name, hostname, pid, queues, started_at as "startedAt", count(*) over ()::int as live from hark.workers
            where dead_at is null and expires_at > clock_timestamp() order by started_at limit $1`,
    values: [limit],
  });
  const workers = rows.map(
    ({ name, hostname, pid, queues, startedAt }) => ({ name, hostname, pid, queues, startedAt }) as LiveWorker,
  );
  return { live: Number(rows[0]?.live ?? 0), workers };
}
