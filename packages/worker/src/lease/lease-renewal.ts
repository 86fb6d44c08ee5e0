import { randomUUID } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import type { Queryable } from "@hark/core";
// Imports only parts of core: the thread then starts in a tenth of the time, and renews the lease
// so much sooner.
import { jitter, orLate } from "@hark/core/clock";
import { type Peer, registerWorker, renewLease } from "@hark/core/statements";

/** What a renewal tells of the other workers. */
export interface Renewed {
  /** The live workers that share a queue, this one included. Undefined unless the fleet changed. */
  readonly peers: readonly Peer[] | undefined;
  /** When the next lease of another worker runs out unless it is renewed, in ms from the answer. */
  readonly othersExpireInMs: number | undefined;
  /** How full the server's queue of notifications is, from 0 to 1. */
  readonly notificationQueueUsage: number;
}

export type LeaseNews =
  /** The thread connects again, and asks for the password of now. */
  | { readonly kind: "password" }
  /** `registration` counts them from 1. */
  | { readonly kind: "registered"; readonly identity: string; readonly registration: number }
  /** `isHung`: the main thread stood still for so long that the lease was given up. */
  | { readonly kind: "lost"; readonly isHung: boolean }
  | ({ readonly kind: "renewed" } & Renewed)
  | { readonly kind: "failed"; readonly message: string };

export interface LeaseRenewalParts {
  readonly name: string;
  readonly hostname: string;
  /** Concurrency by queue, as JSON. */
  readonly queues: string;
  readonly leaseMs: number;
  readonly tell: (news: LeaseNews) => void;
  /**
   * Called before any message: the lease of a registration holds for this long from now, in ms. 0
   * once it is lost.
   */
  readonly hold: (registration: number, forMs: number) => void;
  /**
   * Returns the lease's own connection, a fresh one after {@link LeaseRenewalParts.discard}. Every
   * query on it has a deadline.
   */
  readonly connect: () => Promise<Queryable>;
  /** Throws the connection away, because its last query failed. */
  readonly discard: () => void;
  /** Whether the main thread has not ticked for so long that it counts as hung. */
  readonly isMainHung: () => boolean;
}

/**
 * How the time of a registration ended: the server refused a renewal, since the identity is
 * declared dead; no answer came while the lease held; the main thread hangs.
 */
type End = "refused" | "no answer" | "hung";

/** How long to wait before the main thread is looked at again that hangs, in ms. */
const hungRestMs = 500;

/**
 * Registers the process, renews its lease, and renews or registers again whenever the lease is
 * lost. Runs in the lease thread, for ever.
 */
export async function renewForEver(parts: LeaseRenewalParts): Promise<never> {
  const { name, hostname, queues, leaseMs, tell, hold, connect, discard, isMainHung } = parts;
  /** Renewals come every third of the lease, so that one may fail and be tried again. */
  const intervalMs = leaseMs / 3;
  /**
   * Stop trusting the lease this much before it ends, by the monotonic clock counted from before
   * the request (FM-23).
   */
  const marginMs = Math.min(1_000, leaseMs / 10);
  let knownFleet = "";

  let former: string | undefined;
  for (let registration = 1; ; registration += 1) {
    const { identity, heldUntil } = (former === undefined ? undefined : await revive(former)) ?? (await register());
    hold(registration, heldUntil - performance.now());
    tell({ kind: "registered", identity, registration });
    const end = await keep(identity, heldUntil, registration);
    hold(registration, 0);
    tell({ kind: "lost", isHung: end === "hung" });
    while (isMainHung()) await wait(hungRestMs);
    // A dead identity never comes back: register under a new one.
    former = end === "refused" ? undefined : identity;
  }

  /**
   * Renews a lease that ran out, as soon as the database answers. If nobody has declared its worker
   * dead, all its jobs are still its own. Undefined if somebody has.
   */
  async function revive(identity: string): Promise<{ identity: string; heldUntil: number } | undefined> {
    for (;;) {
      const askedAt = performance.now();
      try {
        const [renewed] = await renew(identity, true);
        return renewed && { identity, heldUntil: askedAt + leaseMs - marginMs };
      } catch (error) {
        await startOver(error);
      }
    }
  }

  async function register(): Promise<{ identity: string; heldUntil: number }> {
    for (;;) {
      const identity = randomUUID();
      const askedAt = performance.now();
      try {
        await registerWorker(await connect(), { id: identity, name, hostname, pid: process.pid, queues, leaseMs });
        return { identity, heldUntil: askedAt + leaseMs - marginMs };
      } catch (error) {
        await startOver(error);
      }
    }
  }

  /** Renews until the lease is refused, or no answer came while it held. */
  async function keep(identity: string, firstHeldUntil: number, registration: number): Promise<End> {
    let heldUntil = firstHeldUntil;
    let pauseMs = intervalMs;
    for (;;) {
      await wait(Math.max(Math.min(jitter(pauseMs), heldUntil - performance.now()), 0));
      if (isMainHung()) {
        // The main thread cannot run its jobs, so others should get them.
        if (performance.now() >= heldUntil) return "hung";
        continue;
      }
      const askedAt = performance.now();
      if (askedAt >= heldUntil) return "no answer";
      try {
        const answer = await orLate(renew(identity), heldUntil - askedAt);
        if (answer === "late") {
          discard(); // a later answer might come when others already have the jobs
          return "no answer";
        }
        const [renewed] = answer;
        if (!renewed) return "refused";
        heldUntil = askedAt + leaseMs - marginMs;
        hold(registration, heldUntil - performance.now());
        pauseMs = intervalMs;
        const { fleet, ...news } = renewed;
        knownFleet = fleet;
        tell({ kind: "renewed", ...news });
      } catch (error) {
        pauseMs = 0; // at once, on a fresh socket, while the lease lives (FM-19)
        await startOver(error, heldUntil);
      }
    }
  }

  async function renew(identity: string, mayRevive = false): ReturnType<typeof renewLease> {
    return renewLease(await connect(), { id: identity, leaseMs, knownFleet, mayRevive });
  }

  /** Pauses before the next try, but not longer than until `at`. */
  async function startOver(error: unknown, at = Number.POSITIVE_INFINITY): Promise<void> {
    discard();
    tell({ kind: "failed", message: error instanceof Error ? error.message || error.name : String(error) });
    await wait(Math.max(Math.min(jitter(150, 0.6), at - performance.now()), 0));
  }
}
