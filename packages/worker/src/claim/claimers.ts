import type { Logger, SchemaVersionError } from "@hark/core";
import { channels, type JobReady, readJobReady } from "@hark/core/internal";
import type { LeaseKeeper } from "../lease/lease-keeper.ts";
import type { Slots } from "../run/slots.ts";
import type { TypedEvent } from "../runtime/event.ts";
import type { Part } from "../runtime/part.ts";
import type { Listener } from "../wake/listener.ts";
import type { NotifyGate } from "../wake/notify-gate.ts";
import { staggerMs } from "../wake/stagger.ts";
import type { Claimer } from "./claimer.ts";

/** The claimers of a worker, one for each queue, and the events that wake them. */
export class Claimers implements Part {
  readonly #claimers: ReadonlyMap<string, { claimer: Claimer; slots: Slots }>;
  readonly #lease: LeaseKeeper;
  readonly #logger: Logger;
  #shutOut: SchemaVersionError | undefined;

  constructor(parts: {
    claimers: readonly { claimer: Claimer; slots: Slots }[];
    listener: Listener;
    gate: NotifyGate;
    lease: LeaseKeeper;
    /** Each of them says that something may have been missed. */
    wokenBy: readonly Pick<TypedEvent, "on">[];
    logger: Logger;
  }) {
    const { claimers, listener, gate, lease, wokenBy, logger } = parts;
    this.#claimers = new Map(claimers.map((each) => [each.claimer.queue, each]));
    this.#lease = lease;
    this.#logger = logger;
    for (const event of wokenBy) event.on(() => this.#resume());
    listener.on(channels.jobReady, (payload) => {
      if (payload !== undefined) return this.#announce(readJobReady(payload));
      void gate.check(); // the gate's session may be lost for the same reason
      this.#resume();
    });
  }

  /** Why they no longer claim, if the schema needs newer code. */
  get refusal(): SchemaVersionError | undefined {
    return this.#shutOut;
  }

  /** The problems that keep them from claiming, in words. Empty if there are none. */
  get troubles(): string[] {
    const troubles: string[] = [];
    if (this.#shutOut) troubles.push(`the worker no longer claims: ${this.#shutOut.message}`);
    for (const [queue, { claimer }] of this.#claimers) {
      if (claimer.failures > 0) troubles.push(`claiming from ${queue} failed ${claimer.failures} times in a row`);
    }
    return troubles;
  }

  start(): void {
    for (const { claimer } of this.#claimers.values()) claimer.start();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#claimers.values()].map(({ claimer }) => claimer.stop()));
  }

  /**
   * Stops claiming, because the schema needs newer code. Jobs that run go on and are settled, if
   * the schema allows it.
   */
  shutOut(error: SchemaVersionError): void {
    this.#shutOut = error;
    this.#logger.error({ error }, "the schema needs newer code: this worker no longer claims");
    void this.stop();
  }

  #resume(): void {
    for (const { claimer } of this.#claimers.values()) claimer.resume();
  }

  /**
   * Wakes the queue's claimer. One that sleeps lets as many other workers go first as the jobs
   * need.
   */
  #announce({ queue, jobs, salt }: JobReady): void {
    const { claimer, slots } = this.#claimers.get(queue) ?? {};
    if (!claimer || !slots) return;
    const me = this.#lease.identity;
    if (jobs === undefined || salt === undefined || me === undefined) return claimer.wake();
    const wanted = Math.ceil(jobs / Math.max(slots.demand, 1));
    claimer.wake(staggerMs({ me, peers: this.#lease.peersOn(queue), salt, wanted }));
  }
}
