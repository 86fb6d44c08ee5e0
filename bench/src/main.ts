import { delayed } from "./scenarios/delayed.ts";
import { drain } from "./scenarios/drain.ts";
import { idle } from "./scenarios/idle.ts";
import { latency } from "./scenarios/latency.ts";
import { openWorkbench } from "./workbench.ts";

const scenarios = { latency, idle, delayed, drain };

/** Runs the scenarios named on the command line, or all, each on a database of its own. Prints what it measured. */
const named = process.argv.slice(2).filter((argument) => argument !== "--");
for (const name of named.length ? named : Object.keys(scenarios)) {
  if (!(name in scenarios))
    throw new Error(`There is no scenario ${name}: known are ${Object.keys(scenarios).join(", ")}.`);
  await using workbench = await openWorkbench();
  const figures = await scenarios[name as keyof typeof scenarios](workbench);
  console.log(`${name} (${workbench.settings})`);
  for (const [figure, value] of Object.entries(figures)) console.log(`  ${figure.padEnd(22)}${value.toFixed(2)}`);
}
