import type { Queryable } from "@hark/core";
import type { Order } from "./orders.ts";

/**
 * One step of a session. A statement whose transaction must stay open is one step, and its commit
 * is the next.
 */
export interface Step<World> {
  readonly name: string;
  run(on: Queryable, world: World): Promise<unknown>;
  /**
   * What the step waits for besides the database's locks. It is checked on the session itself
   * before the step.
   */
  when?(on: Queryable, world: World): Promise<boolean>;
}

/** Sessions, the state that they start from, and what must be true in any order of their steps. */
export interface Scenario<World> {
  /** Steps by session. */
  readonly sessions: Readonly<Record<string, readonly Step<World>[]>>;
  /** Removes what the previous run left. Default: empties the tables. */
  clear?(db: Queryable): Promise<void>;
  /**
   * Then makes the small state that a run starts from. It also resets what the sessions themselves
   * have kept.
   */
  prepare(db: Queryable, on: (session: string) => Queryable): Promise<World>;
  /** Returns what is wrong after a run in which no step failed. */
  judge(db: Queryable, world: World, run: Run): Promise<readonly string[]>;
  /** Process id of a session's backend, for sessions that open their own. */
  pidOf?(session: string, world: World): number | undefined;
}

/** How one order went. */
export interface Run {
  readonly order: Order;
  /**
   * "session.step", followed by "!" when it began, "..." when it had to wait, "=" when it was
   * answered.
   */
  readonly events: readonly string[];
  /** By "session.step". */
  readonly answers: Readonly<Record<string, unknown>>;
  /** By "session.step", for steps that threw. */
  readonly errors: Readonly<Record<string, unknown>>;
  /** Payloads on job_ready that one more session heard during the run. */
  readonly heard: readonly string[];
  /** Notifications on key_waits that it heard. */
  readonly keysWaiting: number;
}

/** Whether a step began before another did. */
export function beganBefore({ events }: Run, one: string, other: string): boolean {
  return events.indexOf(`${one}!`) < events.indexOf(`${other}!`);
}

/** A step that opens a transaction and runs a statement in it. */
export function begin<World>(
  name: string,
  run: Step<World>["run"],
  isolation: "read committed" | "repeatable read" = "read committed",
): Step<World> {
  return {
    name,
    run: async (on, world) => {
      await on.query({ text: `begin isolation level ${isolation}`, values: [] });
      return run(on, world);
    },
  };
}

export const commit: Step<unknown> = { name: "commit", run: (on) => on.query({ text: "commit", values: [] }) };
export const rollback: Step<unknown> = { name: "rollback", run: (on) => on.query({ text: "rollback", values: [] }) };

/** An hour passes for every session at once, without a lock: see clock.ts. */
export const hourPasses: Step<unknown> = {
  name: "hour passes",
  run: (on) =>
    on.query({ text: "select pg_catalog.setval('ahead.ms', last_value + 3600000) from ahead.ms", values: [] }),
};
