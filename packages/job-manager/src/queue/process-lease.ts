import { type Database, DatabaseUnreachableError, describeUrl, type Logger, orLate } from "@hark/core";
import { LeaseKeeper } from "@hark/worker";

/** How long a claim waits for a lease that was lost to be followed by another, in ms. */
const renewalDeadlineMs = 5_000;

export interface ProcessLeaseOptions {
  connectionString: string;
  db: Database;
  name: string;
  queue: string;
  leaseMs: number;
  logger: Logger;
  onLost: () => void;
}

/** The lease under which a PostgresQueue claims: taken when it is first needed, and renewed from then on until stop(). */
export class ProcessLease {
  readonly #options: ProcessLeaseOptions;
  #starting: Promise<LeaseKeeper> | undefined;
  #registered = Promise.withResolvers<void>();

  constructor(options: ProcessLeaseOptions) {
    this.#options = options;
  }

  /** Answers the identity to claim under; throws DatabaseUnreachableError if there is none to be had. */
  async identity(): Promise<string> {
    const keeper = await (this.#starting ??= this.#start().catch((error: unknown) => {
      this.#starting = undefined;
      throw error;
    }));
    if (keeper.identity === undefined) await orLate(this.#registered.promise, renewalDeadlineMs);
    if (keeper.identity !== undefined) return keeper.identity;
    throw new DatabaseUnreachableError(
      describeUrl(this.#options.connectionString),
      "this process's lease ran out, and no new one was to be had",
    );
  }

  /** Whether what was claimed under the identity is still ours: a process that stood still may read of it too late. */
  async holds(identity: string): Promise<boolean> {
    const keeper = await this.#starting;
    return keeper?.identity === identity && keeper.isHeld(performance.now());
  }

  /** Ends the lease: call it when no job is held any more. */
  async stop(): Promise<void> {
    const [started] = await Promise.allSettled([this.#starting]);
    if (started.status === "fulfilled") await started.value?.stop();
  }

  async #start(): Promise<LeaseKeeper> {
    const { queue, onLost, ...options } = this.#options;
    const keeper = new LeaseKeeper({ ...options, queues: { [queue]: 1 } });
    keeper.registered.on(() => this.#registered.resolve());
    keeper.lost.on(() => {
      this.#registered = Promise.withResolvers();
      onLost();
    });
    await keeper.start();
    return keeper;
  }
}
