import { readFile } from "node:fs/promises";
import { cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { nowMs } from "./clock.ts";
import type { Run } from "./run.ts";
import { processCpuMicros, serverCpuMicros } from "./server-cpu.ts";

/** How often the sessions' waits are sampled, in ms. */
const sampleMs = 20;

/** What the samples found. */
interface Waits {
  samples: number;
  /**
   * Samples in which a session was flushing WAL or waiting for another's flush. Flushes run one
   * after the other.
   */
  flushing: number;
  /**
   * Active sessions over all samples, and those of them that waited for a lock, heavyweight or
   * lightweight.
   */
  active: number;
  locked: number;
}

export interface ObserveOptions {
  /** The process id of a pooler between the clients and the server. */
  readonly poolerPid?: number;
}

/**
 * Watches the server, the workers, the bench's own process and the machine while `work` runs.
 * Returns the result of `work`, and how busy they were: cores are CPU time over time, shares go
 * from 0 to 1. Needs /proc. Sessions report their flushes up to a second late, so the number of
 * flushes is exact only over a longer time.
 */
export async function observe<Answer>(
  run: Run,
  work: () => Promise<Answer>,
  { poolerPid }: ObserveOptions = {},
): Promise<{ answer: Answer; figures: Record<string, number> }> {
  const waits: Waits = { samples: 0, flushing: 0, active: 0, locked: 0 };
  const isOver = new AbortController();
  const sampling = sampleWaits(run, waits, isOver.signal);
  const before = await countsOf(run, poolerPid);
  let answer: Answer;
  try {
    answer = await work();
  } finally {
    isOver.abort();
    await sampling;
  }
  const after = await countsOf(run, poolerPid);
  const spanMs = after.atMs - before.atMs;
  const share = (key: keyof typeof before) => (after[key] - before[key]) / (spanMs * 1_000);
  const workerCores = share("workerMicros");
  const benchCores = share("benchMicros");
  const busiestNode = Math.max(benchCores, run.workers.length ? workerCores / run.workers.length : 0);
  return {
    answer,
    figures: {
      serverCores: share("serverMicros"),
      workerCores,
      producerCores: benchCores,
      ...(poolerPid === undefined ? {} : { poolerCores: share("poolerMicros") }),
      machineCpu: share("busyMicros") / cpus().length,
      walMiBPerSecond: ((after.walBytes - before.walBytes) / 1_048_576 / spanMs) * 1_000,
      flushesPerSecond: ((after.flushes - before.flushes) / spanMs) * 1_000,
      walFlush: waits.samples ? waits.flushing / waits.samples : Number.NaN,
      locks: waits.active ? waits.locked / waits.active : 0,
      nodeThread: busiestNode,
    },
  };
}

async function sampleWaits(run: Run, waits: Waits, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const { rows } = await run.postgres.admin(
      `select count(*)::int as active,
              count(*) filter (where wait_event in ('WalSync', 'WalWrite', 'WALWrite'))::int as flushing,
              count(*) filter (where wait_event_type in ('Lock', 'LWLock') and wait_event <> 'WALWrite')::int as locked
         from pg_stat_activity
        where state = 'active' and datname = $1 and backend_type = 'client backend'`,
      [new URL(run.url).pathname.slice(1)],
    );
    const { active, flushing, locked } = rows[0] as Record<"active" | "flushing" | "locked", number>;
    waits.samples += 1;
    waits.flushing += flushing > 0 ? 1 : 0;
    waits.active += active;
    waits.locked += locked;
    await sleep(sampleMs);
  }
}

async function countsOf(run: Run, poolerPid: number | undefined) {
  const { rows } = await run.postgres.admin(
    `select (pg_current_wal_lsn() - '0/0')::float8 as bytes, sum(fsyncs)::float8 as flushes
       from pg_stat_io where object = 'wal'`,
  );
  const { user, system } = process.cpuUsage();
  return {
    workerMicros: await run.workerCpuMicros(),
    serverMicros: (await serverCpuMicros(run.postgres.pid)) ?? Number.NaN,
    poolerMicros: poolerPid === undefined ? 0 : ((await processCpuMicros(poolerPid)) ?? Number.NaN),
    benchMicros: user + system,
    busyMicros: await machineBusyMicros(),
    walBytes: rows[0].bytes as number,
    flushes: rows[0].flushes as number,
    atMs: nowMs(),
  };
}

/**
 * CPU that all processes of the machine used since it started, in us: proc(5), the first line of
 * /proc/stat.
 */
async function machineBusyMicros(): Promise<number> {
  const [line = ""] = (await readFile("/proc/stat", "utf8").catch(() => "")).split("\n", 1);
  const [user = Number.NaN, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.split(/\s+/).slice(1).map(Number);
  return (user + nice + system + irq + softirq) * 10_000;
}
