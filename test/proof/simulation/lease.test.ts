import { type LeaseRenewalParts, renewForEver } from "@hark/worker/internal";
import fc from "fast-check";
import { expect, test } from "vitest";
import { takeOver } from "./take-over.ts";
import { Thread } from "./thread.ts";
import { World } from "./world.ts";

/**
 * Leases, how many renewals are answered, and how soon the others fail: at once, or by their
 * deadline.
 */
const runs = fc.record({
  leaseMs: fc.constantFrom(1_000, 6_000),
  answered: fc.integer({ min: 0, max: 5 }),
  refusedMs: fc.constantFrom(5, 100, 10_000),
});

/** Renews a lease on a thread of a world, and tells nobody what is not asked for. */
function renew(
  thread: Thread,
  {
    tell = () => {},
    hold = () => {},
    discard = () => {},
    ...parts
  }: Pick<LeaseRenewalParts, "leaseMs" | "connect"> & Partial<LeaseRenewalParts>,
): void {
  const silent = { name: "", hostname: "", queues: "{}", isMainHung: () => false };
  thread.run(() => void renewForEver({ ...silent, ...parts, tell, hold, discard }));
}

// The simulation found it: the deadline of an answer, a third of the lease, was waited for though
// the lease ran out before.
test(
  "a renewal that has no answer when the lease is about to run out is not waited for, nor is a next try: the lease is lost in time",
  { tags: ["ONCE-2"] },
  async () => {
    using _ = takeOver();
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.scheduler(), runs, async (seed, order, { leaseMs, answered, refusedMs }) => {
        const world = new World(seed, order);
        const thread = new Thread(world, "lease");
        const told: { kind: string; at: number }[] = [];
        let asked = 0;
        let expiresAt = 0;
        /** Until when each registration said that it holds. */
        const held: number[] = [];
        /**
         * Takes effect and answers within 20 ms so often; then each statement is lost until its
         * deadline.
         */
        const query = () => {
          const { promise, resolve, reject } = Promise.withResolvers<{ rows: Record<string, unknown>[] }>();
          if ((asked += 1) <= answered + 1) {
            expiresAt = world.now + leaseMs;
            world.in(
              world.between(0, 20),
              "answer",
              () => resolve({ rows: asked === 1 ? [] : [{ peers: null, others_expire_in_ms: null }] }),
              thread,
            );
          } else world.in(Math.min(refusedMs, leaseMs / 3), "late", () => reject(new Error("late")), thread);
          return promise;
        };
        renew(thread, {
          leaseMs,
          tell: ({ kind }) => {
            if (kind === "registered") expect(held[1]).toBeGreaterThan(world.now);
            if (kind === "lost") expect(held[1]).toBe(world.now);
            told.push({ kind, at: world.now });
          },
          hold: (registration, forMs) => {
            held[registration] = world.now + forMs;
            expect(held[registration]).toBeLessThan(expiresAt);
          },
          connect: () => Promise.resolve({ query }),
        });
        await world.goOn({ at: 60_000, isOver: () => told.some(({ kind }) => kind === "lost"), look: () => {} });
        thread.end();

        const lost = told.find(({ kind }) => kind === "lost");
        expect(lost?.at).toBeLessThan(expiresAt);
      }),
      { numRuns: 200 },
    );
  },
);

// FM-19
test(
  "a renewal that failed is tried again at once and on a fresh connection, not a third of the lease later",
  { tags: ["FM-19"] },
  async () => {
    using _ = takeOver();
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.scheduler(), fc.constantFrom(3_000, 30_000), async (seed, order, leaseMs) => {
        const world = new World(seed, order);
        const thread = new Thread(world, "lease");
        const happened: { what: "asked" | "failed" | "discarded"; at: number }[] = [];
        const note = (what: (typeof happened)[number]["what"]) => void happened.push({ what, at: world.now });
        /** Registers, fails each renewal after 20 ms but every third. */
        const query = () => {
          const { promise, resolve, reject } = Promise.withResolvers<{ rows: Record<string, unknown>[] }>();
          note("asked");
          const asked = happened.filter(({ what }) => what === "asked").length;
          const fail = () => {
            note("failed");
            reject(new Error("the connection broke"));
          };
          const succeed = () => resolve({ rows: asked === 1 ? [] : [{ peers: null, others_expire_in_ms: null }] });
          world.in(20, "answer", asked % 3 === 1 ? succeed : fail, thread);
          return promise;
        };
        renew(thread, { leaseMs, connect: () => Promise.resolve({ query }), discard: () => note("discarded") });
        const failures = () => happened.filter(({ what }) => what === "failed").length;
        await world.goOn({ at: 20 * leaseMs, isOver: () => failures() === 6, look: () => {} });
        await world.goOn({ at: world.now + 1_000, look: () => {} });
        thread.end();

        expect(failures()).toBeGreaterThanOrEqual(6);
        for (const [place, { what, at }] of happened.entries()) {
          if (what !== "failed") continue;
          const [discarded, asked] = happened.slice(place + 1, place + 3);
          expect(discarded).toEqual({ what: "discarded", at });
          expect(asked?.what).toBe("asked");
          expect(asked?.at).toBeLessThanOrEqual(at + 300); // a rest with jitter, so that a thousand workers do not come at once
        }
      }),
      { numRuns: 50 },
    );
  },
);
