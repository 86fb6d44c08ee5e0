import { parseArgs } from "node:util";
import { type PlannedKind, plannedKinds } from "./campaign/schedule.ts";

export interface ChaosOptions {
  seed: number;
  minutes: number;
  workers: number;
  jobsPerSecond: number;
  leaseMs: number;
  only: PlannedKind[] | undefined;
  promotes: boolean;
  /** These two: undefined means where it is installed. */
  pools: boolean | undefined;
  skews: boolean | undefined;
  report: string | undefined;
  json: string | undefined;
  /** A sabotaged build to run; "" for all of them. */
  sabotage: string | undefined;
}

export const usage = `pnpm chaos [--seed 1] [--minutes 1] [--promote] [--no-pooler] [--no-skew] [--workers 2] [--rate 25] [--lease 3000]
           [--only kill,stop,...] [--report page.html] [--sabotage all|NAME]`;

/** Reads the arguments; throws an Error with what is wrong in words. */
export function readOptions(argv: readonly string[]): ChaosOptions {
  const { values } = parseArgs({
    args: argv.filter((word) => word !== "--"), // pnpm passes it on
    options: {
      seed: { type: "string", default: "1" },
      minutes: { type: "string", default: "1" },
      workers: { type: "string", default: "2" },
      rate: { type: "string", default: "25" },
      lease: { type: "string", default: "3000" },
      only: { type: "string" },
      promote: { type: "boolean", default: false },
      "no-pooler": { type: "boolean", default: false },
      "no-skew": { type: "boolean", default: false },
      report: { type: "string" },
      json: { type: "string" },
      sabotage: { type: "string" },
    },
  });
  const number = (name: string, text: string, least: number, most: number): number => {
    const value = Number(text);
    if (!(value >= least && value <= most)) throw new Error(`--${name} must be from ${least} to ${most}, not ${text}`);
    return value;
  };
  const only = values.only?.split(",") as PlannedKind[] | undefined;
  const unknown = only?.filter((kind) => !plannedKinds.includes(kind)) ?? [];
  if (unknown.length > 0) throw new Error(`--only knows no ${unknown.join(", ")}, but ${plannedKinds.join(", ")}`);
  return {
    seed: Math.trunc(number("seed", values.seed, 0, 2 ** 31)),
    minutes: number("minutes", values.minutes, 0.1, 600),
    workers: Math.trunc(number("workers", values.workers, 1, 20)),
    jobsPerSecond: number("rate", values.rate, 1, 1_000),
    leaseMs: number("lease", values.lease, 1_500, 60_000),
    only,
    promotes: values.promote,
    pools: values["no-pooler"] ? false : undefined,
    skews: values["no-skew"] ? false : undefined,
    report: values.report,
    json: values.json,
    sabotage: values.sabotage,
  };
}

/** The line that repeats a run. */
export function replayOf({
  seed,
  minutes,
  workers,
  jobsPerSecond,
  leaseMs,
  only,
  promotes,
  pools,
  skews,
}: ChaosOptions): string {
  const words = ["pnpm chaos", `--seed ${seed}`, `--minutes ${minutes}`];
  if (workers !== 2) words.push(`--workers ${workers}`);
  if (jobsPerSecond !== 25) words.push(`--rate ${jobsPerSecond}`);
  if (leaseMs !== 3_000) words.push(`--lease ${leaseMs}`);
  if (only) words.push(`--only "${only.join(",")}"`);
  if (promotes) words.push("--promote");
  if (pools === false) words.push("--no-pooler");
  if (skews === false) words.push("--no-skew");
  return words.join(" ");
}
