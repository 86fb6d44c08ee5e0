import { parseArgs } from "node:util";
import { repeats } from "../../support/long.ts";

export interface KeysOptions {
  readonly seed: number;
  /** How many jobs are enqueued. */
  readonly jobs: number;
  /** How many keys they have. */
  readonly keys: number;
  readonly workers: number;
  readonly leaseMs: number;
  /** A sabotaged build of ../campaigns/sabotage to run instead of the real one. */
  readonly sabotage: string | undefined;
}

export const usage = `pnpm run proof keys [--seed 1] [--jobs 20000] [--keys 500] [--workers 3] [--lease 3000] [--sabotage NAME]
LONG=1 runs 1,000,000 jobs over 10,000 keys unless the options say otherwise.`;

/** Reads the arguments. Throws an Error that says what is wrong. */
export function readOptions(argv: readonly string[]): KeysOptions {
  const { values } = parseArgs({
    args: argv.filter((word) => word !== "--"), // pnpm passes "--" on
    options: {
      seed: { type: "string", default: "1" },
      jobs: { type: "string", default: String(repeats({ few: 20_000, full: 1_000_000 })) },
      keys: { type: "string", default: String(repeats({ few: 500, full: 10_000 })) },
      workers: { type: "string", default: "3" },
      lease: { type: "string", default: "3000" },
      sabotage: { type: "string" },
    },
  });
  const number = (name: string, text: string, least: number, most: number): number => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw new Error(`--${name} must be a whole number from ${least} to ${most}, not ${text}`);
  };
  return {
    seed: number("seed", values.seed, 0, 999_999_999),
    jobs: number("jobs", values.jobs, 100, 10_000_000),
    keys: number("keys", values.keys, 1, 1_000_000),
    workers: number("workers", values.workers, 2, 20),
    leaseMs: number("lease", values.lease, 1_500, 60_000),
    sabotage: values.sabotage,
  };
}

/** The line that repeats a run. */
export function replayOf({ seed, jobs, keys, workers, leaseMs, sabotage }: KeysOptions): string {
  const words = ["pnpm run proof keys", `--seed ${seed}`, `--jobs ${jobs}`, `--keys ${keys}`];
  if (workers !== 3) words.push(`--workers ${workers}`);
  if (leaseMs !== 3_000) words.push(`--lease ${leaseMs}`);
  if (sabotage !== undefined) words.push(`--sabotage ${sabotage}`);
  return words.join(" ");
}
