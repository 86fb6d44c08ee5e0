import type { Run } from "../run.ts";
import type { Scenario } from "../scenario.ts";
import { serverCpuMicros } from "../server-cpu.ts";
import { flow } from "./flow.ts";

/** The whole payload has about 100 B. */
const pad = "x".repeat(80);

/** WAL and CPU of a job over its whole life: enqueued, claimed, settled and filed, with full page images and without. */
async function wal(run: Run): Promise<Record<string, number>> {
  const jobs = run.isQuick ? 30_000 : 200_000;
  await run.loadWorkers(1);
  await run.startWorkers({ capacity: 3 * jobs });
  const setFullPageWrites = async (value: "on" | "off"): Promise<void> => {
    await run.postgres.admin(`alter system set full_page_writes = ${value}`);
    await run.postgres.admin("select pg_reload_conf()");
  };
  const measure = async (from: number) => {
    await run.settleServer();
    const before = await state(run);
    const { sent, isComplete } = await flow(run, { from, jobs, forMs: 60_000, extra: { pad } });
    if (!isComplete) throw new Error(`${run.adapter.name}: too slow, so its jobs' lives are not whole.`);
    const after = await state(run);
    return {
      walBytes: (after.lsn - before.lsn) / sent,
      serverCpuMicros: (after.serverMicros - before.serverMicros) / sent,
      clientCpuMicros: (after.clientMicros - before.clientMicros) / sent,
      sent,
    };
  };
  try {
    // First tables and indexes get pages: only those from before a checkpoint are written whole after it.
    await flow(run, { jobs, forMs: 60_000, extra: { pad } });
    const { sent, ...whole } = await measure(jobs);
    await setFullPageWrites("off");
    const plain = await measure(jobs + sent);
    await run.tally({ jobs: jobs + sent + plain.sent });
    return { ...whole, plainWalBytes: plain.walBytes };
  } finally {
    await setFullPageWrites("on");
  }
}

async function state(run: Run): Promise<{ lsn: number; serverMicros: number; clientMicros: number }> {
  const { rows } = await run.postgres.admin("select (pg_current_wal_lsn() - '0/0')::float8 as lsn");
  const { user, system } = process.cpuUsage();
  const workers = await Promise.all(run.workers.map((worker) => worker.cpuMicros()));
  return {
    lsn: rows[0].lsn as number,
    serverMicros: (await serverCpuMicros(run.postgres.pid)) ?? Number.NaN,
    clientMicros: workers.reduce((sum, each) => sum + each, user + system),
  };
}

export const wals: readonly Scenario[] = [
  {
    name: "wal",
    title: "WAL and CPU of a job with 100 B of payload over its whole life",
    metrics: [
      { key: "walBytes", label: "WAL", unit: "B/job" },
      { key: "plainWalBytes", label: "WAL without full page images", unit: "B/job" },
      { key: "serverCpuMicros", label: "CPU of the server", unit: "us/job" },
      { key: "clientCpuMicros", label: "CPU of producer and worker", unit: "us/job" },
    ],
    fits: ({ store }) => store === "postgresql",
    measure: wal,
  },
];
