import { type Stage, stages } from "../adapter.ts";
import type { Run } from "../run.ts";
import type { Scenario } from "../scenario.ts";
import { serverCpuMicros } from "../server-cpu.ts";
import { flow, warmUp, warmUpRoom } from "./flow.ts";

/** Makes the whole payload about 100 B. */
const pad = "x".repeat(80);
/**
 * Few enough that the slowest adapter can drain them in time: jobs that wait at the end must be
 * handled too.
 */
const backlog = 5_000;
/** More than any adapter handles in the time. */
const mostJobs = 600_000;

/**
 * WAL and CPU of a job over its whole life: enqueued, claimed, settled and filed. WAL is measured
 * by position, so that commits, vacuum and full page images count. A second flow without those
 * images splits the WAL by the statements that wrote it.
 */
async function wal(run: Run): Promise<Record<string, number>> {
  await run.loadWorkers(1);
  await run.startWorkers({ capacity: warmUpRoom + 2 * mostJobs });
  await run.query("create extension if not exists pg_stat_statements");
  const forMs = run.isQuick ? 4_000 : 6_000;
  const measure = async (from: number) => {
    await run.settleServer({ isAnalysed: false });
    await run.query("select pg_stat_statements_reset()");
    const before = await countsOf(run);
    const { sent, isComplete } = await flow(run, { from, jobs: mostJobs, forMs, backlog, extra: { pad } });
    if (!isComplete) throw new Error(`${run.adapter.name}: too slow, so some of its jobs were not completed.`);
    const after = await countsOf(run);
    return {
      sent,
      walBytes: (after.lsn - before.lsn) / sent,
      byStage: await walByStage(run, sent),
      serverCpuMicros: (after.serverMicros - before.serverMicros) / sent,
      clientCpuMicros: (after.clientMicros - before.clientMicros) / sent,
    };
  };
  // The warm-up gives tables and indexes their pages: only pages from before a checkpoint are
  // written whole after it.
  const from = await warmUp(run, { pad });
  const whole = await measure(from);
  const restore = await withoutFullPages(run);
  try {
    const plain = await measure(from + whole.sent);
    await run.tally({ jobs: from + whole.sent + plain.sent });
    const told = Object.values(plain.byStage).reduce((sum, bytes) => sum + bytes, 0);
    return {
      walBytes: whole.walBytes,
      plainWalBytes: plain.walBytes,
      ...plain.byStage,
      restBytes: plain.walBytes - told,
      serverCpuMicros: whole.serverCpuMicros,
      clientCpuMicros: whole.clientCpuMicros,
    };
  } finally {
    await restore();
  }
}

/** WAL that the statements of each stage wrote, in B per job. */
async function walByStage(run: Run, jobs: number): Promise<Partial<Record<Stage, number>>> {
  const { stageOf } = run.adapter;
  if (!stageOf) return {};
  const { rows } = await run.query(
    `select query, sum(wal_bytes)::float8 as bytes from pg_stat_statements
      where dbid = (select oid from pg_database where datname = current_database()) and wal_bytes > 0 group by query`,
  );
  const byStage: Partial<Record<Stage, number>> = {};
  for (const { query, bytes } of rows as { query: string; bytes: number }[]) {
    const stage = stageOf(query.replaceAll(/\s+/g, " ").toLowerCase());
    if (stage) byStage[stage] = (byStage[stage] ?? 0) + bytes / jobs;
    else if (bytes / jobs > 50)
      console.error(`${run.adapter.name}: ${Math.round(bytes / jobs)} B of WAL in no stage: ${query}`);
  }
  return byStage;
}

/** Turns full page images off. Returns a function that turns them on again. */
async function withoutFullPages({ postgres }: Run): Promise<() => Promise<void>> {
  const set = async (value: "on" | "off"): Promise<void> => {
    await postgres.admin(`alter system set full_page_writes = ${value}`);
    await postgres.admin("select pg_reload_conf()");
  };
  await set("off");
  return () => set("on");
}

async function countsOf(run: Run): Promise<{ lsn: number; serverMicros: number; clientMicros: number }> {
  const { rows } = await run.postgres.admin("select (pg_current_wal_lsn() - '0/0')::float8 as lsn");
  const { user, system } = process.cpuUsage();
  return {
    lsn: rows[0].lsn as number,
    serverMicros: (await serverCpuMicros(run.postgres.pid)) ?? Number.NaN,
    clientMicros: (await run.workerCpuMicros()) + user + system,
  };
}

export const wals: readonly Scenario[] = [
  {
    name: "wal",
    title: "WAL and CPU of a job with 100 B of payload over its whole life",
    metrics: [
      { key: "walBytes", label: "WAL", unit: "B/job", isLessBetter: true },
      { key: "plainWalBytes", label: "without full page images", unit: "B/job" },
      ...stages.map((stage) => ({ key: stage, label: `of these: ${stage}`, unit: "B/job" })),
      { key: "restBytes", label: "of these: commits, vacuum and the rest", unit: "B/job" },
      { key: "serverCpuMicros", label: "CPU of the server", unit: "us/job", isLessBetter: true },
      { key: "clientCpuMicros", label: "CPU of producer and worker", unit: "us/job", isLessBetter: true },
    ],
    rounds: 1, // an amount, not a time
    fits: ({ store, isDefault, isCeiling }) => store === "postgresql" && !isDefault && !isCeiling,
    measure: wal,
  },
];
