import type { Database, Logger } from "@hark/core";
import { statements } from "@hark/core/internal";
import type { LeaseKeeper } from "../lease/lease-keeper.ts";
import type { Attempts } from "../run/attempts.ts";
import { Loop } from "../runtime/loop.ts";

/** Looks after a lease comes back. A rescue of its jobs may still be on its way at the first. */
const looks = 4;

/**
 * After a lost lease, says that this process lives: another worker that has declared it dead may
 * have counted a crash against each of its jobs (docs/decisions/0037). Not after its event loop
 * hung, since that may be the fault of one of them.
 */
export function survivedClaims(parts: {
  db: Database;
  lease: Pick<LeaseKeeper, "lost" | "registered" | "wasHung">;
  attempts: Pick<Attempts, "heldClaims">;
  leaseMs: number;
  logger: Logger;
}): Loop {
  const { db, lease, attempts, leaseMs, logger } = parts;
  let claims: readonly statements.Claim[] = [];
  let looksLeft = 0;

  const loop = new Loop({
    name: "survived claims",
    logger,
    async step() {
      if (looksLeft === 0) return "until rung";
      const request = { ids: claims.map(({ id }) => id), tokens: claims.map(({ token }) => token) };
      const [answer] = await statements.absolveClaims(db, request);
      if (answer!.absolved > 0)
        logger.warn({ jobs: answer!.absolved }, "this process was declared dead and lives: its jobs lose no attempt");
      looksLeft -= 1;
      if (looksLeft > 0) return { restMs: leaseMs / looks };
      claims = [];
      return "until rung";
    },
  });
  lease.lost.on(() => {
    if (lease.wasHung) return;
    claims = [...claims, ...attempts.heldClaims().map(({ id, token }) => ({ id, token }))];
  });
  lease.registered.on(() => {
    if (claims.length === 0) return;
    looksLeft = looks;
    loop.wakeUp.ring();
  });
  return loop;
}
