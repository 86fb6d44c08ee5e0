import { setTimeout as sleep } from "node:timers/promises";
import { cancelJob, type Database } from "@hark/core";
import type pg from "pg";
import type { Random } from "../../support/random.ts";
import type { LedgerFile } from "../campaigns/ledger/ledger.ts";
import { queue } from "../campaigns/processes/jobs.ts";
import { keyOf } from "./wishes.ts";

/** From one request to the next, in ms. */
const everyMs = 60;

/** One job of a state: of the first of a queue, or of a key's parked ones. */
const oneOf = {
  ready:
    "select id::text from hark.jobs where queue = $1 and state = 'ready' order by priority desc, id offset $2 limit 1",
  running: "select id::text from hark.running_jobs where queue = $1 and key is not null offset $2 limit 1",
  parked: "select id::text from hark.jobs where queue = $1 and state = 'parked' and key = $2 limit 1",
};
const states = ["ready", "running", "parked"] as const;

/** How far from the head of the queue a ready or running job may be. */
const nearHead = 5;

export interface CancellerOptions {
  readonly db: Database;
  readonly pool: pg.Pool;
  readonly ledger: LedgerFile;
  readonly random: Random;
  readonly keys: number;
}

/** Cancels jobs that are ready, running or parked, in turn, until `signal` is aborted. */
export async function cancelJobs({ db, pool, ledger, random, keys }: CancellerOptions, signal: AbortSignal) {
  for (let turn = 0; !signal.aborted; turn += 1) {
    await sleep(everyMs * (0.5 + random()), undefined, { signal }).catch(() => {});
    const state = states[turn % states.length]!;
    const which = state === "parked" ? keyOf(Math.trunc(random() * keys)) : Math.trunc(random() * nearHead);
    try {
      const { rows } = await pool.query<{ id: string }>(oneOf[state], [queue, which]);
      if (!rows[0]) continue;
      const { id } = rows[0];
      ledger.write({ event: "cancel asked", id });
      ledger.write({ event: "cancelled", id, wasIn: await cancelJob(db, BigInt(id)) });
    } catch {
      // Its session was ended: the job may be cancelled or not, and the request is recorded.
    }
  }
}
