import { nowMs } from "../clock.ts";
import type { Run } from "../run.ts";
import type { Scenario } from "../scenario.ts";
import { percentile } from "../statistics.ts";

const shallow = 5_000;
const limit = 10;
const claims = 300;

/**
 * How long a claim of 10 jobs takes with few and with very many ready jobs. SQL inserts the rows,
 * because that is fast enough.
 */
async function backlog(run: Run): Promise<Record<string, number>> {
  const deep = run.isQuick ? 500_000 : 5_000_000;
  const shallowMs = await claimMs(run, shallow);
  const deepMs = await claimMs(run, deep);
  return { shallowMs, deepMs, deepToShallow: deepMs / shallowMs };
}

async function claimMs(run: Run, ready: number): Promise<number> {
  await run.query(run.adapter.sql?.fill ?? "", [ready]);
  await run.settleServer();
  const claimer = await run.adapter.openClaimer!(run.url);
  const taken: number[] = [];
  try {
    for (let n = 0; n < claims; n += 1) {
      const calledAt = nowMs();
      const claimed = await claimer.claim(limit);
      taken.push(nowMs() - calledAt);
      if (claimed !== limit) throw new Error(`${run.adapter.name}: claimed ${claimed} of ${limit} ready jobs.`);
    }
  } finally {
    await claimer.close();
  }
  return percentile(taken, 0.5);
}

export const backlogs: readonly Scenario[] = [
  {
    name: "backlog",
    title: "Claim of 10 jobs by the depth of the backlog (5 thousand against 5 million ready; --quick: 500 thousand)",
    metrics: [
      { key: "deepToShallow", label: "deep : shallow", unit: "", isLessBetter: true },
      { key: "shallowMs", label: "shallow p50", unit: "ms", isLessBetter: true },
      { key: "deepMs", label: "deep p50", unit: "ms" },
    ],
    rounds: 1, // its figure is a ratio within the run
    fits: ({ sql, openClaimer, isDefault, isCeiling }) =>
      !isDefault && !isCeiling && sql?.fill !== undefined && openClaimer !== undefined,
    measure: backlog,
  },
];
