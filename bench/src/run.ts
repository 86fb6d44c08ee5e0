import type pg from "pg";
import type { Adapter, BenchProducer, Payload } from "./adapter.ts";
import { eventually, nowMs, within } from "./clock.ts";
import { openClient } from "./pool.ts";
import type { PostgresStore } from "./stores.ts";
import { type StartOptions, WorkerProcess } from "./worker-process.ts";
import type { Report } from "./worker-protocol.ts";

/** Jobs in one call of a bulk enqueue. */
const bulk = 1_000;

/** The longest time for an adapter to create its schema, and to open its producer, in ms. */
const openMs = 60_000;
const closeMs = 15_000;
const callMs = 30_000;
/**
 * The longest time for a statement of the bench itself, in ms. One statement inserts a backlog of
 * five million rows.
 */
const statementMs = 240_000;

/** A payload without its number. */
type Extra = Omit<Payload, "n">;

/** What all worker processes of a run recorded together. */
export interface Tally {
  readonly handled: number;
  /**
   * When each job's handler first started, in ms of the machine's monotonic clock; 0 if it did not.
   */
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
  /** Holds the run's database, unless the adapter keeps its jobs in Redis. */
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

  /** Closes the producer before the run ends. Closing it twice is harmless. */
  closeProducer(): Promise<void> {
    return (this.#closing ??= within(closeMs, `${this.adapter.name}: closing its producer`, this.producer.close()));
  }

  /** Loads worker processes. They connect only in startWorkers(). */
  async loadWorkers(count: number): Promise<void> {
    for (let n = 0; n < count; n += 1) this.workers.push(this.#stack.use(await WorkerProcess.load()));
  }

  async startWorkers(options: StartOptions): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.start(this.adapter, this.url, options)));
  }

  /** Enqueues the jobs `from` to `to` (not included) in bulk. `extra` may depend on the job. */
  async load(from: number, to: number, extra: Extra | ((n: number) => Extra) = {}): Promise<void> {
    const payloadOf = (n: number): Payload => ({ n, ...(typeof extra === "function" ? extra(n) : extra) });
    for (let sent = from; sent < to; sent += bulk) {
      const size = Math.min(bulk, to - sent);
      await within(
        callMs,
        `${this.adapter.name}: a bulk enqueue`,
        this.producer.enqueueMany(Array.from({ length: size }, (_, n) => payloadOf(sent + n))),
      );
    }
  }

  /**
   * Runs ANALYZE and CHECKPOINT, so that every adapter starts from a server at rest. ANALYZE is
   * left out where the tables are empty now and will soon be full: it would give the planner
   * statistics that are wrong at once, and no peer is known to stay fast with them.
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

  /**
   * Waits until `count` attempts were handled and all jobs are recorded as completed. Returns
   * whether that happened in time.
   */
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
   * Like untilHandled(), for a scenario whose figures mean nothing unless all jobs were handled.
   * @throws Error that says how many were
   */
  async expectHandled(count: number, limitMs: number): Promise<void> {
    if (await this.untilHandled(count, limitMs)) return;
    throw new Error(`${this.adapter.name}: ${this.handled} of ${count} jobs were handled within ${limitMs} ms.`);
  }

  /** CPU time of all worker processes since they were started, in us. */
  async workerCpuMicros(): Promise<number> {
    const usage = await Promise.all(this.workers.map((worker) => worker.cpuMicros()));
    return usage.reduce((sum, each) => sum + each, 0);
  }

  /**
   * Collects what the workers recorded. Checks that no job was handled twice, that each of the
   * first `jobs` was handled, and that no two jobs with one key ran at the same time in a process.
   * @throws Error that says for which job, or how many times, that is not true
   */
  async tally({ jobs }: { jobs: number }): Promise<Tally> {
    const reports = await Promise.all(this.workers.map((worker) => worker.report()));
    if (!this.adapter.ignoresKeys) checkKeys(reports, this.adapter.name);
    return { ...tallyOf(reports, jobs, this.adapter.name), reports };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** @throws Error that says how many jobs started while another job with their key ran */
export function checkKeys(reports: readonly Report[], name: string): void {
  const overlaps = reports.reduce((sum, report) => sum + report.overlaps, 0);
  if (overlaps === 0) return;
  throw new Error(`${name}: ${overlaps} jobs started while another job with their key ran: its figures are void.`);
}

/**
 * @throws Error that names the first job that was handled twice or, if it is one of the first
 * `jobs`, not at all
 */
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
      throw new Error(`${name}: job ${n} was handled ${count} times, not once: its figures are void.`);
    }
    handled += count;
  }
  return { handled, startedAt, endedAt, cpuMicros: reports.reduce((sum, report) => sum + report.cpuMicros, 0) };
}
