import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { pick, type Random } from "../../support/random.ts";
import type { Member } from "../campaigns/campaign/member.ts";
import { now } from "../campaigns/ledger/clock.ts";
import type { LedgerFile } from "../campaigns/ledger/ledger.ts";
import { producerName } from "./producer.ts";

/** From one fault to the next, on average, in ms. */
const meanGapMs = 900;

/** How often each fault is drawn. */
const faults = ["kill", "kill", "kill", "stop", "stop", "backends", "backends", "producer"] as const;

export interface StormOptions {
  readonly members: readonly Member[];
  readonly pool: pg.Pool;
  readonly ledger: LedgerFile;
  readonly random: Random;
  readonly leaseMs: number;
}

/**
 * Kills workers, stops them for longer than their lease, and ends sessions, again and again, until
 * `signal` is aborted. Resolves once every stopped worker goes on.
 */
export async function storm({ members, pool, ledger, random, leaseMs }: StormOptions, signal: AbortSignal) {
  const busy = new Set<Member>();
  const underWay = new Set<Promise<void>>();

  const act = async (fault: (typeof faults)[number], member: Member): Promise<void> => {
    const from = now();
    const done = (proof: string, target = member.name) =>
      ledger.write({
        event: "fault",
        kind: fault === "producer" ? "backends" : fault,
        target,
        from,
        to: now(),
        at: from,
        proof,
      });
    if (fault === "kill") {
      const { pid } = member;
      await member.kill("SIGKILL", "kill", random() * 1_000);
      done(`process ${pid} is gone`);
    } else if (fault === "stop") {
      const { pid } = member;
      const resume = member.pause();
      // Also at the end of the storm: no longer than this.
      await sleep(leaseMs * (0.8 + random() * 1.4));
      resume();
      done(`process ${pid} stood for ${Math.round(now() - from)} ms`);
    } else if (fault === "backends") done(`${await endSessions(pool, "usename", member.name)} sessions ended`);
    else done(`${await endSessions(pool, "application_name", producerName)} sessions ended`, producerName);
  };

  while (!signal.aborted) {
    const fault = pick(random, faults);
    const member = pick(random, members);
    if (!busy.has(member) && member.isAlive) {
      busy.add(member);
      const acting = act(fault, member)
        .catch(() => {}) // no session to end it with
        .finally(() => {
          busy.delete(member);
          underWay.delete(acting);
        });
      underWay.add(acting);
    }
    await sleep(-Math.log(1 - random() * 0.95) * meanGapMs, undefined, { signal }).catch(() => {});
  }
  await Promise.all(underWay);
}

/** Ends some sessions, at random half of those whose login or application has this name. */
async function endSessions(pool: pg.Pool, column: "usename" | "application_name", name: string): Promise<number> {
  const { rowCount } = await pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
      where ${column} = $1 and backend_type = 'client backend' and random() < 0.5`,
    [name],
  );
  return rowCount ?? 0;
}
