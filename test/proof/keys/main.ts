/**
 * `pnpm run proof keys`: runs very many jobs over many keys with worker processes that are killed
 * and stopped all the time, and decides from an outside ledger whether the keys were kept apart.
 * Exits with 1 if an invariant was broken.
 */
import { setFlagsFromString } from "node:v8";
import type { OtherBuild } from "../campaigns/campaign/campaign.ts";
import { invariants } from "../campaigns/checker/check.ts";
import { Study } from "../campaigns/checker/study.ts";
import { builds } from "../campaigns/sabotage/builds.ts";
import { wreckOf } from "../campaigns/sabotage/wreck.ts";
import { runKeys } from "./campaign.ts";
import { lineOf } from "./figures.ts";
import { keyInvariants } from "./invariants.ts";
import { type KeysOptions, readOptions, replayOf, usage } from "./options.ts";

// A million jobs have four million entries, which take 3 GB.
setFlagsFromString("--max-old-space-size=8192");

/** How many breaches of one invariant are printed. */
const mostPrinted = 5;

const say = (line: string) => void process.stdout.write(`${line}\n`);

let options: KeysOptions;
try {
  options = readOptions(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n${usage}\n`);
  process.exit(2);
}
process.exitCode = await run(options);

async function run(given: KeysOptions): Promise<number> {
  const replay = replayOf(given);
  say(replay);
  const { history, stormMs } = await runKeys(given, { build: buildOf(given.sabotage), say });
  const study = new Study(history);
  say(lineOf(study, stormMs));
  let broken = 0;
  const all = [...invariants, ...keyInvariants];
  for (const { id, says, breaches } of all) {
    const found = breaches(study);
    if (found.length === 0) continue;
    broken += 1;
    say(`BROKEN ${id}: ${says}`);
    for (const breach of found.slice(0, mostPrinted)) say(`  ${breach}`);
    if (found.length > mostPrinted) say(`  and ${found.length - mostPrinted} more`);
  }
  say(broken === 0 ? `all ${all.length} invariants kept` : `${broken} of ${all.length} broken; again: ${replay}`);
  return broken === 0 ? 0 : 1;
}

/** @throws Error if there is no sabotaged build of this name */
function buildOf(name: string | undefined): OtherBuild | undefined {
  if (name === undefined) return undefined;
  const build = builds.find((one) => one.name === name);
  if (!build) throw new Error(`there is no build ${name}: ${builds.map((one) => one.name).join(", ")}`);
  const wreck = wreckOf(build.seams);
  return {
    preload: new URL("../campaigns/sabotage/preload.ts", import.meta.url),
    env: { HARK_SABOTAGE: name },
    wreck: async (db) => void (wreck !== undefined && (await db.query(wreck))),
  };
}
