import { runCampaign } from "../campaign/campaign.ts";
import type { Verdict } from "../checker/check.ts";
import type { Build } from "./build.ts";
import { wreckOf } from "./wreck.ts";

export interface BuildResult {
  build: Build;
  seed: number;
  /** Length of the whole campaign, with its start and its calm. */
  seconds: number;
  broken: Verdict[];
  /** Broken invariants that were expected to break. The real build is caught if it breaks any. */
  caughtBy: string[];
}

/**
 * Runs the campaign of a sabotaged build. Its processes run that build. This process, which
 * decides, runs the real build.
 */
export async function runBuild(build: Build, seed: number, say: (line: string) => void): Promise<BuildResult> {
  const beganAt = performance.now();
  const { name, seams, minutes = 0.35, jobsPerSecond = 25, leaseMs = 3_000, only } = build;
  const wreck = wreckOf(seams);
  const { verdicts } = await runCampaign({
    ...{ seed, minutes, jobsPerSecond, leaseMs, only },
    ...(seams.length > 0 && {
      build: {
        preload: new URL("./preload.ts", import.meta.url),
        env: { HARK_SABOTAGE: name },
        wreck: async (db) => void (wreck && (await db.query(wreck))),
      },
    }),
  });
  const seconds = Math.round((performance.now() - beganAt) / 1_000);
  const broken = verdicts.filter(({ breaches }) => breaches.length > 0);
  const caughtBy = broken.map(({ id }) => id).filter((id) => build.breaks.includes(id));
  for (const { id, breaches, count } of broken) say(`  ${id}, ${count} times: ${breaches[0]}`);
  return { build, seed, seconds, broken, caughtBy };
}
