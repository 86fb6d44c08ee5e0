/**
 * `pnpm run proof campaigns`: runs fault campaigns, prints the result of each in a line, and exits
 * with 1 if an invariant was broken.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { runCampaign } from "./campaign/campaign.ts";
import { type CampaignArguments, fileFor, readOptions, replayOf, usage } from "./options.ts";
import { figuresOf, lineOf } from "./report/figures.ts";
import { pageOf } from "./report/page.ts";
import { builds, control } from "./sabotage/builds.ts";
import { runBuild } from "./sabotage/run-build.ts";
import { writeTable } from "./sabotage/table.ts";

/** How many breaches of one invariant are printed. */
const mostPrinted = 5;
/**
 * How long a process may take to end after its verdict, in ms. It is longer than every deadline
 * that only delays the end.
 */
const endMs = 10_000;

const say = (line: string) => void process.stdout.write(`${line}\n`);

process.once("disconnect", () => process.exit(1)); // ends with the process that started it
const argv = process.argv.slice(2);
let options: CampaignArguments;
try {
  options = readOptions(argv);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n${usage}\n`);
  process.exit(2);
}
process.channel?.unref(); // so that listening for a disconnect does not keep the process alive
process.exitCode = await run(options);
watchTheEnd();

/**
 * The process should now end by itself. If it does not, prints what keeps it open and ends it, with
 * 1 unless it failed anyway.
 */
function watchTheEnd(): void {
  const watchdog = setTimeout(() => {
    const kinds = Object.entries(Object.groupBy(process.getActiveResourcesInfo(), (kind) => kind));
    say(`still open after ${endMs} ms: ${kinds.map(([kind, all]) => `${all!.length} ${kind}`).join(", ")}`);
    process.exit(process.exitCode || 1);
  }, endMs);
  watchdog.unref();
}

async function run(given: CampaignArguments): Promise<number> {
  const [seed = 1, ...others] = given.seeds;
  if (given.sabotage !== undefined) return sabotage(given.sabotage, seed);
  return others.length === 0 ? campaign(seed, given) : sideBySide(given);
}

/**
 * Runs the campaigns of several seeds at once, each in its own process. Returns 0 if every
 * invariant of each was kept. A campaign mostly waits, so several take as long as one.
 */
async function sideBySide({ seeds, report, json }: CampaignArguments): Promise<number> {
  const codes = await Promise.all(
    seeds.map(async (seed) => {
      const own = ["--seed", `${seed}`];
      if (report !== undefined) own.push("--report", fileFor(seed, report));
      if (json !== undefined) own.push("--json", fileFor(seed, json));
      const child = fork(fileURLToPath(import.meta.url), [...argv, ...own], {
        stdio: ["ignore", "pipe", "pipe", "ipc"],
      });
      for (const stream of [child.stdout!, child.stderr!])
        createInterface({ input: stream }).on("line", (line) => say(`[${seed}] ${line}`));
      const [code] = (await once(child, "close")) as [number | null];
      if (code !== 0 && code !== 1) say(`[${seed}] reached no verdict`);
      return code;
    }),
  );
  const kept = codes.filter((code) => code === 0).length;
  say(`${kept} of ${seeds.length} campaigns kept every invariant`);
  return kept === seeds.length ? 0 : 1;
}

/**
 * Runs sabotaged builds, all or some by name. Returns 0 if each was caught and the real build was
 * not.
 */
async function sabotage(names: string, seed: number): Promise<number> {
  const wanted = names.split(",");
  const chosen = [control, ...builds].filter(({ name }) => names === "all" || wanted.includes(name));
  if (chosen.length === 0) throw new Error(`there is no build ${names}: ${builds.map(({ name }) => name).join(", ")}`);
  let failures = 0;
  for (const build of chosen) {
    const result = await runBuild(build, seed, say).catch((error: unknown) => {
      failures += 1; // the other builds still run
      say(`WRONG ${build.name}, seed ${seed}: ${error instanceof Error ? error.message : String(error)}`);
    });
    if (!result) continue;
    const { broken, caughtBy, seconds } = result;
    const isRight = build === control ? broken.length === 0 : caughtBy.length > 0;
    if (!isRight) failures += 1;
    say(
      `${isRight ? "ok" : "WRONG"} ${build.name}, seed ${seed}, ${seconds} s: ${caughtBy.join(", ") || "no expected invariant broken"}`,
    );
    if (build !== control) await writeTable([result]);
  }
  return failures === 0 ? 0 : 1;
}

async function campaign(seed: number, given: CampaignArguments): Promise<number> {
  const replay = replayOf(seed, given);
  say(replay);
  const result = await runCampaign({ ...given, seed, say });
  if (given.report !== undefined) await writeFile(given.report, pageOf(result, replay));
  if (given.json !== undefined) await writeFile(given.json, JSON.stringify(result));

  say(lineOf(figuresOf(result.history)));
  const broken = result.verdicts.filter(({ breaches }) => breaches.length > 0);
  for (const { id, says, breaches, count } of broken) {
    say(`BROKEN ${id}: ${says}`);
    for (const breach of breaches.slice(0, mostPrinted)) say(`  ${breach}`);
    if (count > mostPrinted) say(`  and ${count - mostPrinted} more`);
  }
  say(
    broken.length === 0
      ? `all ${result.verdicts.length} invariants kept`
      : `${broken.length} of ${result.verdicts.length} invariants broken; again: ${replay}`,
  );
  return broken.length === 0 ? 0 : 1;
}
