import { join, parse } from "node:path";
import { parseArgs } from "node:util";
import { type PlannedKind, plannedKinds } from "./campaign/schedule.ts";

export interface CampaignArguments {
  /** One campaign each, in parallel. */
  seeds: number[];
  minutes: number;
  workers: number;
  jobsPerSecond: number;
  leaseMs: number;
  only: PlannedKind[] | undefined;
  /** Whether a standby is promoted in the middle. */
  promotes: boolean;
  /** These three: undefined means if it is installed. */
  pools: boolean | undefined;
  skews: boolean | undefined;
  fills: boolean | undefined;
  /** Files to write. With several seeds each has its own file, named for it. */
  report: string | undefined;
  json: string | undefined;
  /** A sabotaged build to run, or "" for all of them. */
  sabotage: string | undefined;
}

export const usage = `pnpm run proof campaigns [--seed 1|1..3] [--minutes 1] [--no-promote] [--no-pooler] [--no-skew] [--no-disk] [--workers 2] [--rate 25]
           [--lease 3000] [--only kill,stop,...] [--report page.html] [--json history.json] [--sabotage all|NAME]`;

/** How many campaigns run at once. Each has one or two PostgreSQL servers and eight processes. */
const mostSeeds = 10;

/** Reads the arguments. Throws an Error that says what is wrong. */
export function readOptions(argv: readonly string[]): CampaignArguments {
  const { values } = parseArgs({
    args: argv.filter((word) => word !== "--"), // pnpm passes "--" on
    options: {
      seed: { type: "string", default: "1" },
      minutes: { type: "string", default: "1" },
      workers: { type: "string", default: "2" },
      rate: { type: "string", default: "25" },
      lease: { type: "string", default: "3000" },
      only: { type: "string" },
      "no-promote": { type: "boolean", default: false },
      "no-pooler": { type: "boolean", default: false },
      "no-skew": { type: "boolean", default: false },
      "no-disk": { type: "boolean", default: false },
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
  const seedsOf = (text: string): number[] => {
    const [, from = "", to = from] = /^(\d{1,9})(?:\.\.(\d{1,9}))?$/.exec(text) ?? [];
    const [first, last] = [Number(from), Number(to)];
    if (from === "" || last < first || last - first >= mostSeeds)
      throw new Error(`--seed must be one, or up to ${mostSeeds} as in 1..3, not ${text}`);
    return Array.from({ length: last - first + 1 }, (_, place) => first + place);
  };
  const only = values.only?.split(",") as PlannedKind[] | undefined;
  const unknown = only?.filter((kind) => !plannedKinds.includes(kind)) ?? [];
  if (unknown.length > 0) throw new Error(`--only knows no ${unknown.join(", ")}, but ${plannedKinds.join(", ")}`);
  return {
    seeds: seedsOf(values.seed),
    minutes: number("minutes", values.minutes, 0.1, 600),
    workers: Math.trunc(number("workers", values.workers, 1, 20)),
    jobsPerSecond: number("rate", values.rate, 1, 1_000),
    leaseMs: number("lease", values.lease, 1_500, 60_000),
    only,
    promotes: !values["no-promote"] && (only?.includes("promote") ?? true),
    pools: values["no-pooler"] ? false : undefined,
    skews: values["no-skew"] ? false : undefined,
    fills: values["no-disk"] ? false : undefined,
    report: values.report,
    json: values.json,
    sabotage: values.sabotage,
  };
}

/** The line that repeats the campaign of one seed. */
export function replayOf(seed: number, options: CampaignArguments): string {
  const { minutes, workers, jobsPerSecond, leaseMs, only, promotes, pools, skews, fills } = options;
  const words = ["pnpm run proof campaigns", `--seed ${seed}`, `--minutes ${minutes}`];
  if (workers !== 2) words.push(`--workers ${workers}`);
  if (jobsPerSecond !== 25) words.push(`--rate ${jobsPerSecond}`);
  if (leaseMs !== 3_000) words.push(`--lease ${leaseMs}`);
  if (only) words.push(`--only "${only.join(",")}"`);
  if (!promotes && (only?.includes("promote") ?? true)) words.push("--no-promote");
  if (pools === false) words.push("--no-pooler");
  if (skews === false) words.push("--no-skew");
  if (fills === false) words.push("--no-disk");
  return words.join(" ");
}

/** The file of one seed among several: `page.html` becomes `page-2.html`. */
export function fileFor(seed: number, file: string): string {
  const { dir, name, ext } = parse(file);
  return join(dir, `${name}-${seed}${ext}`);
}
