/** `pnpm chaos`: runs a fault campaign, says what came of it in a line, and ends with 1 if an invariant was broken. */
import { writeFile } from "node:fs/promises";
import { runCampaign } from "./campaign/campaign.ts";
import { type ChaosOptions, readOptions, replayOf, usage } from "./options.ts";
import { figuresOf, lineOf } from "./report/figures.ts";
import { pageOf } from "./report/page.ts";

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
process.exitCode = await campaign(options);

async function campaign(given: ChaosOptions): Promise<number> {
  const replay = replayOf(given);
  say(replay);
  const result = await runCampaign({ ...given, say });
  if (given.report !== undefined) await writeFile(given.report, pageOf(result, replay));
  if (given.json !== undefined) await writeFile(given.json, JSON.stringify(result));

  say(lineOf(figuresOf(result.history)));
  const broken = result.verdicts.filter(({ breaches }) => breaches.length > 0);
  for (const { id, says, breaches } of broken) {
    say(`BROKEN ${id}: ${says}`);
    for (const breach of breaches.slice(0, mostPrinted)) say(`  ${breach}`);
    if (breaches.length > mostPrinted) say(`  and ${breaches.length - mostPrinted} more`);
  }
  say(
    broken.length === 0
      ? `all ${result.verdicts.length} invariants kept`
      : `${broken.length} of ${result.verdicts.length} invariants broken; again: ${replay}`,
  );
  return broken.length === 0 ? 0 : 1;
}
