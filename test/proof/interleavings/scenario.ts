import type { Queryable } from "@hark/core";
import type { Order } from "./orders.ts";

/** One move of a session. A statement that shall stay open for others to meet is a step, and its commit the next. */
export interface Step<World> {
  readonly name: string;
  run(on: Queryable, world: World): Promise<unknown>;
  /** What the step waits for besides the database's locks; asked on the session itself before it is its turn. */
  when?(on: Queryable, world: World): Promise<boolean>;
}

/** Sessions that meet, what they find, and what must be true whatever the order of their steps. */
export interface Scenario<World> {
  /** Steps by session. */
  readonly sessions: Readonly<Record<string, readonly Step<World>[]>>;
  /** Takes away what the run before left; empties the tables if not given. */
  clear?(db: Queryable): Promise<void>;
  /** Makes the small state that a run starts from, after that. What the sessions themselves kept is its to take away. */
  prepare(db: Queryable, on: (session: string) => Queryable): Promise<World>;
  /** Says what is wrong after a run in which no step failed, if anything is. */
  judge(db: Queryable, world: World, run: Run): Promise<readonly string[]>;
  /** Process id of a session's backend, for sessions that open their own. */
  pidOf?(session: string, world: World): number | undefined;
}

/** How one order went. */
export interface Run {
  readonly order: Order;
  /** "session.step", then "!" when it began, "..." when it had to wait, "=" when it had its answer. */
  readonly events: readonly string[];
  /** By "session.step". */
  readonly answers: Readonly<Record<string, unknown>>;
  /** By "session.step", for steps that threw. */
  readonly errors: Readonly<Record<string, unknown>>;
  /** Payloads on job_ready, which one more session listened to all the time. */
  readonly heard: readonly string[];
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

/** An hour goes by for every session at once, without a lock; see clock.ts. */
export const hourPasses: Step<unknown> = {
  name: "hour passes",
  run: (on) =>
    on.query({ text: "select pg_catalog.setval('ahead.ms', last_value + 3600000) from ahead.ms", values: [] }),
};
