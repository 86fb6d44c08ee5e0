import { startPostgres } from "./dist/stores.js";
import { Run } from "./dist/run.js";
import { hark } from "./dist/adapters/hark.js";
import { flow, flowFigures, warmUp } from "./dist/scenarios/flow.js";
await using postgres = await startPostgres();
for (const mode of process.argv.slice(2)) {
  await using run = await Run.open({ adapter: hark, url: await postgres.fresh(), isQuick: true, postgres });
  await run.loadWorkers(1);
  await run.startWorkers({ capacity: 2_000_000 });
  let from = 0;
  if (mode.includes("warm")) from = await warmUp(run);
  if (mode.includes("analyze")) await run.query("analyze");
  if (mode.includes("vacuum")) await run.query("vacuum");
  if (mode.includes("checkpoint")) await run.query("checkpoint");
  await run.query("create extension if not exists pg_stat_statements");
  await run.query("select pg_stat_statements_reset()");
  const { samples, sent, isComplete } = await flow(run, { from, jobs: 1_000_000, forMs: 5_000 });
  console.log(mode, JSON.stringify(flowFigures(samples)), sent, isComplete);
  const { rows } = await run.query(
    `select calls, round(total_exec_time) ms, round(mean_exec_time::numeric,2) mean, rows, shared_blks_hit/calls as hit, left(regexp_replace(query,'\\s+',' ','g'),90) q from pg_stat_statements where dbid=(select oid from pg_database where datname=current_database()) order by total_exec_time desc limit 6`,
  );
  console.table(rows);
}
