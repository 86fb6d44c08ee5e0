import pg from "pg";
import type { Run } from "../run.ts";
import type { Scenario } from "../scenario.ts";
import { rateBetween } from "../statistics.ts";
import { flow } from "./flow.ts";

/** When a slow adapter is cut, in ms. */
const limitMs = 60_000;

const metrics = [
  { key: "perSecond", label: "enqueued and drained", unit: "jobs/s" },
  { key: "first", label: "first fifth", unit: "jobs/s" },
  { key: "last", label: "last fifth", unit: "jobs/s" },
  { key: "lastToFirst", label: "last : first", unit: "" },
];

/** Jobs go through while a session stays inside the transaction that these statements began. */
async function pinned(run: Run, statements: readonly string[]): Promise<Record<string, number>> {
  const jobs = run.isQuick ? 60_000 : 300_000;
  await run.loadWorkers(1);
  await run.startWorkers({ capacity: jobs });
  await run.settleServer();
  const session = new pg.Client({ connectionString: run.url });
  await session.connect();
  try {
    for (const statement of statements) await session.query(statement);
    const { samples, sent, isComplete } = await flow(run, { jobs, forMs: run.isQuick ? 10_000 : limitMs });
    await run.tally({ jobs: isComplete ? sent : 0 });
    const first = rateBetween(samples, 0, 0.2);
    const last = rateBetween(samples, 0.8, 1);
    return { perSecond: rateBetween(samples, 0, 1), first, last, lastToFirst: last / first };
  } finally {
    await session.query("rollback");
    await session.end();
  }
}

export const pins: readonly Scenario[] = [
  {
    name: "pinned:snapshot",
    title: "Enqueue and drain while a session holds an old snapshot",
    metrics,
    fits: ({ store }) => store === "postgresql",
    measure: (run) => pinned(run, ["begin isolation level repeatable read", "select count(*) from pg_class"]),
  },
  {
    name: "pinned:write",
    title: "Enqueue and drain while a session that inserted a job does not commit",
    metrics,
    fits: ({ sql }) => sql?.insertOther !== undefined,
    measure: (run) => pinned(run, ["begin", run.adapter.sql?.insertOther ?? ""]),
  },
];
