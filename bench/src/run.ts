import type pg from "pg";
import type { Adapter, BenchProducer, Payload } from "./adapter.ts";
import { eventually, nowMs, within } from "./clock.ts";
import { openClient } from "./pool.ts";
import type { PostgresStore } from "./stores.ts";
import { type StartOptions, WorkerProcess } from "./worker-process.ts";
import type { Report } from "./worker-protocol.ts";

/** Jobs of one call of a bulk enqueue. */
const bulk = 1_000;

/** How long an adapter may take to make its schema, to open and to close its producer, and to answer a call of it, in ms. */
const openMs = 60_000;
const closeMs = 15_000;
const callMs = 30_000;
/** How long a statement of the bench itself may take, in ms: five million rows of a backlog are one. */
const statementMs = 240_000;

/** What all worker processes of a run saw together. */
export interface Tally {
  readonly handled: number;
  /** When each job's handler started first, in ms of the machine's monotonic clock; 0 if it did not. */
  readonly startedAt: Float64Array;
  readonly endedAt: Float64Array;
  readonly cpuMicros: number;
  readonly reports: readonly Report[];
}

export interface RunOptions {
  readonly adapter: Adapter;
  readonly url: string;
  readonly isQuick: boolean;
  readonly postgres: PostgresStore;
}

/** One measurement of one adapter in a store of its own: what a scenario works with. */
export class Run implements AsyncDisposable {
  readonly adapter: Adapter;
  readonly url: string;
  readonly isQuick: boolean;
  readonly producer: BenchProducer;
  /** Holds the run's database, unless its adapter keeps its jobs in Redis. */
  readonly postgres: PostgresStore;
  readonly workers: WorkerProcess[] = [];
  readonly #stack = new AsyncDisposableStack();
  #closing: Promise<void> | undefined;

  private constructor({ adapter, url, isQuick, postgres }: RunOptions, producer: BenchProducer) {
    this.postgres = postgres;
    this.adapter = adapter;
    this.url = url;
    this.isQuick = isQuick;
    this.producer = producer;
  }

  static async open(options: RunOptions): Promise<Run> {
    const { adapter, url } = options;
    await within(openMs, `${adapter.name}: its schema`, adapter.prepare(url));
    const producer = await within(openMs, `${adapter.name}: its producer`, adapter.openProducer(url));
    const run = new Run(options, producer);
    run.#stack.defer(() => run.closeProducer());
    return run;
  }

  /** Closes the producer before the run is over; it may be closed already. */
  closeProducer(): Promise<void> {
    return (this.#closing ??= within(closeMs, `${this.adapter.name}: closing its producer`, this.producer.close()));
  }

  /** Loads worker processes, which do not connect before startWorkers(). */
  async loadWorkers(count: number): Promise<void> {
    for (let n = 0; n < count; n += 1) this.workers.push(this.#stack.use(await WorkerProcess.load()));
  }

  async startWorkers(options: StartOptions): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.start(this.adapter, this.url, options)));
  }

  /** Enqueues jobs `from` to `to` (not included) in bulk, and makes the planner know them. */
  async load(from: number, to: number, extra: Omit<Payload, "n"> = {}): Promise<void> {
    for (let sent = from; sent < to; sent += bulk) {
      const size = Math.min(bulk, to - sent);
      await within(
        callMs,
        `${this.adapter.name}: a bulk enqueue`,
        this.producer.enqueueMany(Array.from({ length: size }, (_, n) => ({ n: sent + n, ...extra }))),
      );
    }
  }

  /**
   * ANALYZE and CHECKPOINT: every adapter starts from a server at rest. ANALYZE is left out where the tables stand empty at the
   * moment and will not stay so: it would tell the planner what is true for no time, and no peer is known to survive that.
   */
  async settleServer({ isAnalysed = true } = {}): Promise<void> {
    if (this.adapter.store === "redis") return;
    if (isAnalysed) await this.query("analyze");
    await this.query("checkpoint");
  }

  /** Runs a statement in the run's database, on a connection of its own. */
  async query(text: string, values: unknown[] = []): Promise<pg.QueryResult> {
    const client = await openClient(this.url, { limitMs: statementMs });
    try {
      return await client.query(text, values);
    } finally {
      await client.end();
    }
  }

  get handled(): number {
    return this.workers.reduce((sum, worker) => sum + worker.handled, 0);
  }

  /** @throws Error of the first worker process that ended or failed */
  throwIfFailed(): void {
    for (const { failure } of this.workers) if (failure) throw failure;
  }

  /** Waits until that many attempts were handled, and all jobs are written down as completed. Answers whether that came in time. */
  async untilHandled(count: number, limitMs: number): Promise<boolean> {
    const deadline = nowMs() + limitMs;
    const isHandled = await eventually(() => {
      this.throwIfFailed();
      return this.handled >= count;
    }, limitMs);
    const isEmpty = () => within(callMs, `${this.adapter.name}: asking what is left`, this.producer.isEmpty());
    return isHandled && (await eventually(isEmpty, Math.max(deadline - nowMs(), 1_000)));
  }

  /**
   * As untilHandled(), for a scenario whose figures mean nothing unless all of them were.
   * @throws Error that says how far the adapter came
   */
  async expectHandled(count: number, limitMs: number): Promise<void> {
    if (await this.untilHandled(count, limitMs)) return;
    throw new Error(`${this.adapter.name}: ${this.handled} of ${count} jobs were handled within ${limitMs} ms.`);
  }

  /** CPU that all worker processes used since they were made, in us. */
  async workerCpuMicros(): Promise<number> {
    const usage = await Promise.all(this.workers.map((worker) => worker.cpuMicros()));
    return usage.reduce((sum, each) => sum + each, 0);
  }

  /**
   * Collects what the workers saw, and checks that none of the jobs was handled twice and that each of the first `jobs` was.
   * @throws Error that names the first job of which that is not so
   */
  async tally({ jobs }: { jobs: number }): Promise<Tally> {
    const reports = await Promise.all(this.workers.map((worker) => worker.report()));
    return { ...tallyOf(reports, jobs, this.adapter.name), reports };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** @throws Error that names the first job that was handled twice or, if it is one of the first `jobs`, not at all */
export function tallyOf(reports: readonly Report[], jobs: number, name: string): Omit<Tally, "reports"> {
  const capacity = reports[0]?.counts.length ?? 0;
  const timed = reports[0]?.startedAt.length ?? 0;
  const startedAt = new Float64Array(timed);
  const endedAt = new Float64Array(timed);
  let handled = 0;
  for (let n = 0; n < capacity; n += 1) {
    let count = 0;
    for (const report of reports) {
      count += report.counts[n]!;
      if (report.startedAt[n]) startedAt[n] = report.startedAt[n]!;
      if (report.endedAt[n]) endedAt[n] = report.endedAt[n]!;
    }
    if (count > 1 || (n < jobs && count === 0)) {
      throw new Error(`${name}: job ${n} was handled ${count} times, not once: its figures count for nothing.`);
    }
    handled += count;
  }
  return { handled, startedAt, endedAt, cpuMicros: reports.reduce((sum, report) => sum + report.cpuMicros, 0) };
}
