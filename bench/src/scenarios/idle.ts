import { defineJob } from "@hark/core";
import { implement } from "@hark/worker";
import type { Workbench } from "../workbench.ts";

const seconds = 30;

/** What an idle worker asks of the database: statements a second, as pg_stat_statements counts them, LISTEN and NOTIFY included. */
export async function idle({ db, startWorker }: Workbench): Promise<Record<string, number>> {
  await using _worker = await startWorker([implement(defineJob("bench.nothing"), () => {})]);
  await new Promise((resolve) => setTimeout(resolve, 3_000)); // past the first look of every loop
  await db.query({ text: "select pg_stat_statements_reset()", values: [] });
  const cpu = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  const { user, system } = process.cpuUsage(cpu);
  const { rows } = await db.query({
    text: `select sum(calls)::float8 as calls from pg_stat_statements where query not like '%pg_stat_statements%'`,
    values: [],
  });
  return { statementsPerSecond: Number(rows[0]!.calls) / seconds, cpuPercentOfACore: (user + system) / 1e4 / seconds };
}
