import { schemaVersionOn } from "@hark/core/internal";
import type * as Product from "@hark/worker/internal";
import fc from "fast-check";
import type { Client } from "./network.ts";
import type { Server } from "./server.ts";
import { type Plan, plans, type Seen, simulate } from "./simulate.ts";
import { takeOver } from "./take-over.ts";

export interface Verdict {
  readonly failed: boolean;
  readonly runs: number;
  /** What went wrong, how to repeat it, and what came before; empty if nothing did. */
  readonly report: string;
  readonly seen: Seen;
}

/** Lines of the story in a report: the end is what matters. */
const storyLines = 60;

/**
 * Lives `runs` plans through, each as `bent` makes it; ends at the first that fails, shrunk if
 * asked for.
 */
export async function check(
  product: typeof Product,
  {
    server,
    client,
    seed,
    path,
    runs,
    isShrunk,
    bent = (plan) => plan,
    tell = () => {},
  }: {
    server: Server;
    client?: Client | undefined;
    seed: number;
    path?: string | undefined;
    runs: number;
    isShrunk: boolean;
    bent?: ((plan: Plan) => Plan) | undefined;
    /** Is told the story of every world that kept its promises. */
    tell?: (story: readonly string[]) => void;
  },
): Promise<Verdict> {
  const seen: Seen = { runs: 0, told: 0, rescued: 0, handedBack: 0, happenedMs: 0 };
  let story: string[] = [];
  // The migrations are read once, from the disk: the first world alone would wait for that in real
  // time, and be another the next time.
  await schemaVersionOn({ query: () => Promise.resolve({ rows: [] }) });
  using _ = takeOver();
  const details = await fc.check(
    fc.asyncProperty(plans.map(bent), fc.scheduler(), async (plan, order) => {
      const told: string[] = [];
      try {
        const one = await simulate(plan, order, product, { server, client }, told);
        tell(told);
        for (const what of Object.keys(seen) as (keyof Seen)[]) seen[what] += one[what];
      } catch (error) {
        story = told;
        throw error;
      }
    }),
    { seed, numRuns: runs, endOnFailure: !isShrunk, interruptAfterTimeLimit: 600_000, ...(path && { path }) },
  );
  if (!details.failed) return { failed: false, runs: details.numRuns, report: "", seen };
  const error = details.errorInstance;
  const lines = [
    error instanceof Error ? (error.stack ?? error.message) : String(error),
    `To repeat it: SIMULATION_SEED=${details.seed} SIMULATION_PATH=${details.counterexamplePath} pnpm exec vitest run test/proof/simulation`,
    `The plan: ${JSON.stringify(details.counterexample?.[0])}`,
    "What came before, by ms:",
    ...story.slice(-storyLines),
  ];
  return { failed: true, runs: details.numRuns, report: lines.join("\n"), seen };
}
