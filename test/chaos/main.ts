/** `pnpm chaos`: runs a fault campaign, says what came of it in a line, and ends with 1 if an invariant was broken. */
import { writeFile } from "node:fs/promises";
import { runCampaign } from "./campaign/campaign.ts";
import { type ChaosOptions, readOptions, replayOf, usage } from "./options.ts";
import { figuresOf, lineOf } from "./report/figures.ts";
import { pageOf } from "./report/page.ts";
import { builds, control } from "./sabotage/builds.ts";
import { runBuild } from "./sabotage/run-build.ts";
import { writeTable } from "./sabotage/table.ts";

/** Most breaches of one invariant that are printed. */
const mostPrinted = 5;

const say = (line: string) => void process.stdout.write(`${line}\n`);

let options: ChaosOptions;
try {
  options = readOptions(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n${usage}\n`);
  process.exit(2);
}
process.exitCode =
  options.sabotage === undefined ? await campaign(options) : await sabotage(options.sabotage, options.seed);

/** Runs sabotaged builds, all or some by name; answers 0 if each was caught, and the build as it is was not. */
async function sabotage(names: string, seed: number): Promise<number> {
  const wanted = names.split(",");
  const chosen = [control, ...builds].filter(({ name }) => names === "all" || wanted.includes(name));
  if (chosen.length === 0) throw new Error(`there is no build ${names}: ${builds.map(({ name }) => name).join(", ")}`);
  let failures = 0;
  for (const build of chosen) {
    const result = await runBuild(build, seed, say);
    const { broken, caughtBy, seconds } = result;
    const isRight = build === control ? broken.length === 0 : caughtBy.length > 0;
    if (!isRight) failures += 1;
    say(
      `${isRight ? "ok" : "WRONG"} ${build.name}, seed ${seed}, ${seconds} s: ${caughtBy.join(", ") || "nothing broken that should be"}`,
    );
    if (build !== control) await writeTable([result]);
  }
  return failures === 0 ? 0 : 1;
}

async function campaign(given: ChaosOptions): Promise<number> {
  const replay = replayOf(given);
  say(replay);
  const result = await runCampaign({ ...given, say });
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
