import type { Database, Logger } from "@hark/core";
import { statements } from "@hark/core/internal";
import type { LeaseKeeper } from "../lease/lease-keeper.ts";
import type { Attempts } from "../run/attempts.ts";
import type { WorkerEvents } from "../run/events.ts";
import { Loop } from "../runtime/loop.ts";

/** Looks in the lease after a loss. A rescue of its jobs may still be on its way at the first. */
const looks = 4;

/** Claims that are asked for at a time. More are not refused in the time of the looks. */
const mostClaims = 10_000;

/**
 * After a lost lease, says that this process lives: another worker that has declared it dead may
 * have counted a crash against each of its jobs (docs/decisions/0037). Not after its event loop
 * hung, since that may be the fault of one of them.
 */
export function survivedClaims(parts: {
  db: Database;
  lease: Pick<LeaseKeeper, "identity" | "lost" | "registered" | "wasHung">;
  attempts: Pick<Attempts, "heldClaims">;
  /** Tells of an outcome that was refused: the job may have been rescued. */
  events: Pick<WorkerEvents, "on">;
  leaseMs: number;
  logger: Logger;
}): Loop {
  const { db, lease, attempts, events, leaseMs, logger } = parts;
  /** By token and id. Each is looked at for a lease from `since`, by performance.now(). */
  const claims = new Map<string, { readonly claim: statements.Claim; since: number }>();

  const loop = new Loop({
    name: "survived claims",
    logger,
    async step() {
      if (claims.size === 0 || lease.identity === undefined) return "until rung"; // a new lease rings
      const startedAt = performance.now();
      const now = [...claims.values()].map(({ claim }) => claim);
      const request = { ids: now.map(({ id }) => id), tokens: now.map(({ token }) => token) };
      const [answer] = await statements.absolveClaims(db, request);
      if (answer!.absolved > 0)
        logger.warn({ jobs: answer!.absolved }, "this process was declared dead and lives: its jobs lose no attempt");
      for (const [name, { since }] of claims) if (startedAt - since >= leaseMs) claims.delete(name);
      return claims.size > 0 ? { restMs: leaseMs / looks } : "until rung";
    },
  });
  const add = ({ id, token }: statements.Claim) =>
    claims.set(`${token} ${id}`, { claim: { id, token }, since: performance.now() });
  lease.lost.on(() => {
    if (!lease.wasHung) attempts.heldClaims().forEach(add);
  });
  lease.registered.on(() => {
    for (const each of claims.values()) each.since = performance.now(); // nothing was asked without a lease
    loop.wakeUp.ring();
  });
  // A claim that was answered after the loss was not among those.
  events.on("refused", (job) => {
    if (lease.wasHung || claims.size >= mostClaims) return;
    add(job);
    loop.wakeUp.ring();
  });
  return loop;
}
