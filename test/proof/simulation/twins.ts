import type { Edit } from "./edits.ts";
import { noFaults } from "./network.ts";
import type { Plan } from "./simulate.ts";

/** A worker from which one guard was taken out, that the simulation must tell from the product. */
export interface Twin {
  /** What it does wrong. */
  readonly name: string;
  /** Paths from packages/worker/src. */
  readonly edits: readonly Edit[];
  /** What the simulation says of it. */
  readonly says: RegExp;
  /** Makes worlds in which it has a chance to show, if one in a thousand of the others is too few. */
  readonly bent?: (plan: Plan) => Plan;
}

/** Or the question whether a claim stands would find most of what these do wrong, 2 ms later. */
const confirmsNothing: Edit = { file: "claimer.ts", from: "mayDefer: this.#isPlain", to: "mayDefer: false" };

/** Processes stand still for longer than a lease, each time while the answer to a claim may be on its way to one. */
const standStill = (plan: Plan): Plan => ({
  ...plan,
  workers: 2,
  leaseMs: 1_000,
  latencyMs: 40,
  rates: { ...noFaults, slow: 0.5 },
  faults: plan.jobs.map(({ atMs, delayMs, commitMs }, place) => ({
    kind: "freeze",
    atMs: atMs + delayMs + commitMs + 60,
    lastsMs: 4_000,
    whom: place,
  })),
});

/** Leases run out, since the threads that renew them are cut off. */
const cannotRenew = (plan: Plan): Plan => ({
  ...plan,
  workers: 3,
  leaseMs: 1_000,
  faults: plan.jobs.map(({ atMs }, place) => ({ kind: "cut", atMs, lastsMs: 4_000, whom: 2 * place })),
});

export const twins: readonly Twin[] = [
  {
    name: "takes an outcome whose answer was lost for refused, and does not ask again",
    edits: [
      {
        file: "settler.ts",
        from: "        if (isRejection(error)) return this.#writeInHalves(entries, error);\n",
        to: "        if (!isRejection(error)) break;\n        return this.#writeInHalves(entries, error);\n",
      },
    ],
    says: /and jobs are left|was handed back, but/,
  },
  {
    name: "hands nothing back when it stops",
    edits: [
      {
        file: "executor.ts",
        from: 'if (handler) this.#end(this.#take(job, handler), { kind: "interrupted" });',
        to: "if (handler) this.#take(job, handler);",
      },
    ],
    says: /still holds|and jobs are left/,
  },
  {
    name: "tells no handler that the lease is lost",
    edits: [{ file: "worker.ts", from: 'executor.abortAll("lease lost");', to: "" }],
    says: /was not told to stop/,
    bent: cannotRenew,
  },
  {
    name: "keeps the slot of a job whose outcome was refused",
    edits: [
      {
        file: "executor.ts",
        from: "    this.#attempts.delete(attempt);\n",
        to: '    if (settlement === "settled") this.#attempts.delete(attempt);\n',
      },
    ],
    says: /still holds/,
  },
  {
    name: "hands back claims whose answer is on its way",
    edits: [{ file: "upkeep/forgotten-claims.ts", from: " && !this.#isAwaited(token)", to: "" }, confirmsNothing],
    says: /was not told to stop/,
  },
  {
    name: "starts what was claimed under a lease that is lost, before it hears of the loss",
    edits: [{ file: "executor.ts", from: "if (!this.#isLeaseHeld(startedAt))", to: "if (false)" }, confirmsNothing],
    says: /was not told to stop/,
    bent: standStill,
  },
  {
    name: "forgets claims that were never answered",
    edits: [{ file: "upkeep/forgotten-claims.ts", from: "if (forgotten.length === 0) return;", to: "return;" }],
    says: /and jobs are left/,
  },
  {
    name: "burns the attempt of what it hands back unheard",
    edits: [{ file: "upkeep/forgotten-claims.ts", from: "attempt: attempt - 1 }", to: "attempt }" }],
    says: /went back after interrupted/,
  },
  {
    name: "runs more than its slots",
    edits: [{ file: "executor.ts", from: "pLimit({ concurrency, ", to: "pLimit({ concurrency: concurrency + 1, " }],
    says: /at once/,
  },
];
