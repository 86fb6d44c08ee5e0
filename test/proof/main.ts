/**
 * `pnpm run proof`: runs the proofs of the engine one after the other, all or some by name. Ends
 * with the line "N passed, N failed", and with 1 if one failed.
 */
import { spawnSync } from "node:child_process";
import { parseArguments } from "./arguments.ts";
import { type Program, type Proof, type Tests } from "./proofs.ts";

const say = (line: string) => void process.stdout.write(`${line}\n`);

/** Whether the run passed. */
function passes(run: Tests | Program, rest: readonly string[]): boolean {
  const [command, words] = "tests" in run ? testCommand(run, rest) : programCommand(run, rest);
  const environment = { ...("tests" in run ? run.environment : {}), ...process.env };
  say(`$ ${words.join(" ")}`);
  const { status, error } = spawnSync(command, words, { stdio: "inherit", env: environment });
  if (error) throw error;
  return status === 0;
}

function testCommand({ tests }: Tests, rest: readonly string[]): [string, string[]] {
  return [process.execPath, ["node_modules/vitest/vitest.mjs", "run", "--project", "proof", ...tests, ...rest]];
}

function programCommand({ program, fixed = [], usual }: Program, rest: readonly string[]): [string, string[]] {
  return [process.execPath, [program, ...fixed, ...(rest.length > 0 ? rest : usual)]];
}

/** The runs of a proof. Arguments are for its program, or for vitest if it has none. */
function runsOf({ runs }: Proof, rest: readonly string[]): readonly (Tests | Program)[] {
  const programs = runs.filter((run) => "program" in run);
  return rest.length > 0 && programs.length > 0 ? programs : runs;
}

function list(proofs: readonly Proof[]): void {
  for (const { name, minutes, proves } of proofs)
    say(`${name.padEnd(14)} ${`${minutes} min`.padStart(7)}  ${proves.replaceAll(/\[([^\]]+)\]\([^)]*\)/g, "$1")}`);
}

function main(): number {
  let asked;
  try {
    asked = parseArguments(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    return 2;
  }
  if (asked.isList) {
    list(asked.chosen);
    return 0;
  }
  const failed: string[] = [];
  for (const proof of asked.chosen) {
    const results = runsOf(proof, asked.rest).map((run) => passes(run, asked.rest));
    if (results.includes(false)) failed.push(proof.name);
  }
  for (const name of failed) say(`FAILED ${name}`);
  say(`${asked.chosen.length - failed.length} passed, ${failed.length} failed`);
  return failed.length > 0 ? 1 : 0;
}

process.exitCode = main();
