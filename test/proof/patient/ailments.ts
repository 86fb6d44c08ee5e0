import { setTimeout as sleep } from "node:timers/promises";
import type { PostgresServer } from "@hark/test/database";
import type pg from "pg";
import type { Proxy } from "../../support/proxy.ts";
import { pick, type Random } from "../../support/random.ts";
import type { WorkerProcess } from "../../support/worker-process.ts";

/** What an ailment may lay hands on. */
export interface Patient {
  readonly server: PostgresServer;
  /** Direct sessions to the server, past the proxy. */
  readonly pool: pg.Pool;
  /** Between all workers and the server. */
  readonly proxy: Proxy;
  readonly workers: () => readonly WorkerProcess[];
  /** Starts a worker in the place of one that was killed. */
  readonly replace: (killed: WorkerProcess) => Promise<void>;
  readonly random: Random;
}

export interface Ailment {
  readonly name: string;
  /** Begins, lasts for `ms`, and is over when it resolves. */
  readonly befall: (patient: Patient, ms: number) => Promise<void>;
}

/** Does `work` in a transaction that is rolled back after `ms`. */
async function inTransaction({ pool }: Patient, texts: readonly string[], ms: number): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query("begin");
    for (const text of texts) await client.query(text);
    await sleep(ms);
    await client.query("rollback");
  } finally {
    client.release();
  }
}

const tables = ["workers", "running_jobs", "jobs", "finished_jobs", "attempts", "stats", "unique_keys", "locks"];

/** A setting that an administrator may change on a running server, and what it is set to. */
const settings = [
  ["default_transaction_isolation", "'repeatable read'"],
  ["statement_timeout", "'2s'"],
  ["lock_timeout", "'100ms'"],
  ["idle_session_timeout", "'1s'"],
  ["synchronous_commit", "off"],
] as const;

export const ailments: readonly Ailment[] = [
  {
    name: "stopped in a moment and started again",
    async befall({ server }, ms) {
      await server.stopImmediately();
      await sleep(ms);
      await server.start();
    },
  },
  {
    name: "out of reach, connections refused",
    async befall({ proxy }, ms) {
      await proxy.set("refuse");
      await sleep(ms);
      await proxy.set("ok");
    },
  },
  {
    name: "out of reach, without an answer",
    async befall({ proxy }, ms) {
      await proxy.set("hole");
      await sleep(ms);
      await proxy.set("cut");
      await proxy.set("ok");
    },
  },
  {
    name: "read-only",
    async befall({ pool }, ms) {
      await setting(pool, "default_transaction_read_only", "on");
      await sleep(ms);
      await reset(pool, "default_transaction_read_only");
    },
  },
  {
    name: "given another setting",
    async befall({ pool, random }, ms) {
      const [name, value] = pick(random, settings);
      await setting(pool, name, value);
      await sleep(ms);
      await reset(pool, name);
    },
  },
  {
    name: "rid of its sessions, again and again",
    async befall({ pool }, ms) {
      for (const endsAt = performance.now() + ms; performance.now() < endsAt;) {
        await pool.query(
          "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'hark %' and pid <> pg_backend_pid()",
        );
        await sleep(500);
      }
    },
  },
  {
    name: "locked by a table",
    befall: (patient, ms) =>
      inTransaction(patient, [`lock table hark.${pick(patient.random, tables)} in access exclusive mode`], ms),
  },
  {
    name: "locked by rows",
    befall: (patient, ms) =>
      inTransaction(
        patient,
        [
          "select from hark.jobs where id % 3 = 0 for update skip locked",
          "select from hark.running_jobs where id % 3 = 0 for update skip locked",
          "select from hark.workers for update skip locked",
        ],
        ms,
      ),
  },
  {
    name: "relieved of its workers' rows by hand",
    async befall({ pool }, ms) {
      await pool.query("delete from hark.workers");
      await sleep(ms / 2);
    },
  },
  {
    name: "left alone by workers that stand still",
    async befall({ workers }, ms) {
      const all = workers();
      for (const worker of all) worker.kill("SIGSTOP");
      await sleep(ms);
      for (const worker of all) worker.kill("SIGCONT");
    },
  },
  {
    name: "left alone by one worker that stands still",
    async befall({ workers, random }, ms) {
      const worker = pick(random, workers());
      worker.kill("SIGSTOP");
      await sleep(ms);
      worker.kill("SIGCONT");
    },
  },
  {
    name: "left by a worker that is killed",
    async befall({ workers, replace, random }, ms) {
      const worker = pick(random, workers());
      worker.kill("SIGKILL");
      await worker.exited;
      await sleep(ms / 4);
      await replace(worker);
    },
  },
];

/**
 * Sets it for all sessions that begin from now on, and for those that have not set it themselves.
 */
async function setting(pool: pg.Pool, name: string, value: string): Promise<void> {
  await pool.query(`alter system set ${name} = ${value}`);
  await pool.query("select pg_reload_conf()");
}

async function reset(pool: pg.Pool, name: string): Promise<void> {
  await pool.query(`alter system reset ${name}`);
  await pool.query("select pg_reload_conf()");
}
