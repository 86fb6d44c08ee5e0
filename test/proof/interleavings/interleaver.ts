import type { Queryable } from "@hark/core";
import { channels, pgTypes } from "@hark/core/internal";
import pg from "pg";
import { clearJobs } from "../../support/places.ts";
import { randomFrom } from "../../support/random.ts";
import { type TextSeam, withSeams } from "../../support/seams.ts";
import { searchPath } from "./clock.ts";
import { chooseOrders, countOrders, type Order } from "./orders.ts";
import type { Run, Scenario, Step } from "./scenario.ts";

/** How long one order may take until every step has its answer, in ms. Most take a few ms. */
const runMs = 30_000;

export interface Findings {
  /** How many orders were run, up to the first broken one. */
  readonly orders: number;
  /** How many orders there are. */
  readonly possible: number;
  /** How many steps had to wait for another session's lock. */
  readonly waits: number;
  readonly broken: string | undefined;
}

export interface ExploreOptions {
  readonly connectionString: string;
  /** How many orders to run at most. */
  readonly most: number;
  readonly seed: number;
  /** Changes to the statements of the sessions. */
  readonly seams?: readonly TextSeam[];
  /** The failure that a broken order must show to count. Default: any. */
  readonly shows?: string;
}

/**
 * Runs a scenario's steps in every order, or in `most` of them, each on emptied tables. Stops at
 * the first order after which something is wrong. It never waits for a fixed time. It leaves a step
 * without an answer once pg_blocking_pids says that a session which waits for its own next step
 * blocks it. The next step of a session that still waits is put off.
 */
export async function explore<World>(scenario: Scenario<World>, options: ExploreOptions): Promise<Findings> {
  const names = Object.keys(scenario.sessions);
  const steps = Object.fromEntries(names.map((name) => [name, scenario.sessions[name]!.length]));
  await using sessions = await Sessions.open(options.connectionString, names);
  let [orders, waits] = [0, 0];
  let broken: string | undefined;
  for (const order of chooseOrders(steps, options.most, randomFrom(options.seed))) {
    if (scenario.clear) await scenario.clear(sessions.control);
    else await clearJobs(sessions.control);
    await sessions.control.query("select pg_catalog.setval('ahead.ms', 0)");
    const on = (session: string) => sessions.byName.get(session)!;
    const world = await scenario.prepare(withSeams(sessions.control, options.seams ?? []), on);
    await sessions.listenAgain();
    const run = await new Running(scenario, world, sessions, options.seams ?? []).run(order);
    orders += 1;
    waits += run.events.filter((event) => event.endsWith("...")).length;
    const failed = Object.entries(run.errors).map(([step, error]) => `${step} failed: ${String(error)}`);
    const wrong = failed.length > 0 ? failed : await scenario.judge(sessions.control, world, run);
    if (wrong.length > 0 && wrong.join("; ").includes(options.shows ?? "")) {
      broken = `seed ${options.seed}, ${order.join(" ")}: ${wrong.join("; ")} (${run.events.join(" ")})`;
      break;
    }
  }
  return { orders, possible: countOrders(steps), waits, broken };
}

/** The sessions of a scenario, which all its runs use, and one more that observes. */
class Sessions implements AsyncDisposable {
  readonly control: pg.Client;
  readonly byName: ReadonlyMap<string, pg.Client>;
  readonly pids: ReadonlyMap<string, number>;
  #heard: string[] = [];
  #keysWaiting = 0;

  private constructor(control: pg.Client, byName: ReadonlyMap<string, pg.Client>, pids: ReadonlyMap<string, number>) {
    this.control = control;
    this.byName = byName;
    this.pids = pids;
    control.on("notification", ({ channel, payload }) => {
      if (channel === channels.keyWaits) this.#keysWaiting += 1;
      else this.#heard.push(payload ?? "");
    });
  }

  static async open(connectionString: string, names: readonly string[]): Promise<Sessions> {
    const connect = async () => {
      const client = new pg.Client({
        connectionString,
        types: pgTypes,
        query_timeout: runMs,
        options: `-c search_path=${searchPath} -c jit=off -c plan_cache_mode=force_generic_plan`,
      });
      client.on("error", () => {});
      await client.connect();
      return client;
    };
    const byName = new Map<string, pg.Client>();
    const pids = new Map<string, number>();
    for (const name of names) {
      const client = await connect();
      const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
      byName.set(name, client);
      pids.set(name, rows[0]!.pid);
    }
    const control = await connect();
    await control.query(`listen ${channels.jobReady}; listen ${channels.keyWaits}`);
    return new Sessions(control, byName, pids);
  }

  /** Forgets what was heard before. */
  async listenAgain(): Promise<void> {
    await this.#flush();
    this.#heard = [];
    this.#keysWaiting = 0;
  }

  /**
   * Returns all notifications since then. A session hears its own notification after all that were
   * committed before it.
   */
  async heard(): Promise<Pick<Run, "heard" | "keysWaiting">> {
    await this.#flush();
    return { heard: this.#heard, keysWaiting: this.#keysWaiting };
  }

  async #flush(): Promise<void> {
    await this.control.query("select pg_notify('job_ready', 'flush')");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const pids = [...this.pids.values()];
    await this.control.query("select pg_terminate_backend(pid) from unnest($1::int[]) pid", [pids]);
    await Promise.all([this.control, ...this.byName.values()].map((client) => client.end().catch(() => {})));
  }
}

/** The run of one order. */
class Running<World> {
  readonly #scenario: Scenario<World>;
  readonly #world: World;
  readonly #sessions: Sessions;
  readonly #on: ReadonlyMap<string, Queryable>;
  readonly #endsAt = performance.now() + runMs;
  readonly #done = new Map<string, number>();
  /** Sessions whose step has no answer yet. True once the step was seen to wait. */
  readonly #pending = new Map<string, boolean>();
  readonly #events: string[] = [];
  readonly #answers: Record<string, unknown> = {};
  readonly #errors: Record<string, unknown> = {};

  constructor(scenario: Scenario<World>, world: World, sessions: Sessions, seams: readonly TextSeam[]) {
    this.#scenario = scenario;
    this.#world = world;
    this.#sessions = sessions;
    this.#on = new Map([...sessions.byName].map(([name, client]) => [name, withSeams(client, seams)]));
  }

  async run(order: Order): Promise<Run> {
    const left = [...order];
    while (left.length > 0 || this.#pending.size > 0) {
      const place = await this.#firstThatMay(left);
      if (place !== undefined) this.#start(left.splice(place, 1)[0]!);
      else if (this.#pending.size === 0) throw new Error(`no session can move: ${this.#events.join(" ")}`);
      await this.#untilStill(place === undefined);
    }
    const heard = await this.#sessions.heard();
    return { order, events: this.#events, answers: this.#answers, errors: this.#errors, ...heard };
  }

  #next(session: string): Step<World> {
    return this.#scenario.sessions[session]![this.#done.get(session) ?? 0]!;
  }

  async #firstThatMay(left: readonly string[]): Promise<number | undefined> {
    const asked = new Set<string>();
    for (const [place, session] of left.entries()) {
      if (this.#pending.has(session) || asked.has(session)) continue;
      asked.add(session);
      const step = this.#next(session);
      if (!step.when || (await step.when(this.#on.get(session)!, this.#world))) return place;
    }
    return undefined;
  }

  #start(session: string): void {
    const step = this.#next(session);
    const name = `${session}.${step.name}`;
    this.#events.push(`${name}!`);
    this.#pending.set(session, false);
    const end = (into: Record<string, unknown>) => (what: unknown) => {
      into[name] = what;
      this.#events.push(`${name}=`);
      this.#done.set(session, (this.#done.get(session) ?? 0) + 1);
      this.#pending.delete(session);
    };
    step.run(this.#on.get(session)!, this.#world).then(end(this.#answers), end(this.#errors));
  }

  /**
   * Waits until every step has its answer or is blocked by an idle session. With `isAnswerDue`
   * waits until one more is answered.
   */
  async #untilStill(isAnswerDue: boolean): Promise<void> {
    const before = this.#events.filter((event) => event.endsWith("=")).length;
    while (this.#pending.size > 0) {
      if (performance.now() > this.#endsAt) throw new Error(`no answer in ${runMs} ms: ${this.#events.join(" ")}`);
      const waiting = await this.#waiting();
      const isStill = [...this.#pending.keys()].every((session) => waiting.has(session));
      const answered = this.#events.filter((event) => event.endsWith("=")).length > before;
      if (!isStill || (isAnswerDue && !answered)) continue;
      for (const [session, wasSeen] of this.#pending) {
        if (wasSeen) continue;
        this.#events.push(`${session}.${this.#next(session).name}...`);
        this.#pending.set(session, true);
      }
      return;
    }
  }

  /**
   * Returns running sessions that wait, directly or through others, for an idle one. A ring of
   * waits is a deadlock, and ends by itself.
   */
  async #waiting(): Promise<ReadonlySet<string>> {
    const pids = new Map([...this.#sessions.pids.keys()].map((session) => [this.#pidOf(session), session]));
    const asked = [...pids].flatMap(([pid, session]) => (this.#pending.has(session) && pid !== undefined ? [pid] : []));
    const { rows } = await this.#sessions.control.query<{ pid: number; blockers: number[] }>({
      name: "blockers",
      text: "select pid, pg_blocking_pids(pid) as blockers from unnest($1::int[]) pid",
      values: [asked],
    });
    const blockers = new Map(rows.map((row) => [pids.get(row.pid)!, row.blockers.map((pid) => pids.get(pid))]));
    const waiting = new Set<string>();
    const isIdle = (session: string | undefined) => session !== undefined && !this.#pending.has(session);
    for (let before = -1; before < waiting.size;) {
      before = waiting.size;
      for (const [session, behind] of blockers)
        if (behind.some((one) => isIdle(one) || (one !== undefined && waiting.has(one)))) waiting.add(session);
    }
    return waiting;
  }

  #pidOf(session: string): number | undefined {
    return this.#scenario.pidOf ? this.#scenario.pidOf(session, this.#world) : this.#sessions.pids.get(session);
  }
}
