import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Verdict } from "../checker/check.ts";
import type { Build } from "./build.ts";
import { makeWorkspace } from "./workspace.ts";

export interface BuildResult {
  build: Build;
  seed: number;
  /** Of the whole campaign, its start and its calm included. */
  seconds: number;
  broken: Verdict[];
  /** Broken invariants that were expected to be; the control is caught if it breaks any. */
  caughtBy: string[];
}

/** How long one campaign may take at most, in ms. */
const longestMs = 400_000;

/** Runs the campaign of a sabotaged build, in processes that know no other build. */
export async function runBuild(build: Build, seed: number, say: (line: string) => void): Promise<BuildResult> {
  await using workspace = await makeWorkspace(build.edits);
  const json = join(workspace.folder, "result.json");
  const beganAt = performance.now();
  const { minutes = 0.35, jobsPerSecond = 25, leaseMs = 3_000, only } = build;
  const child = spawn(
    process.execPath,
    [
      join(workspace.folder, "test/proof/campaigns/main.ts"),
      ...["--seed", `${seed}`, "--minutes", `${minutes}`, "--rate", `${jobsPerSecond}`, "--lease", `${leaseMs}`],
      ...["--json", json],
      ...(only ? ["--only", only.join(",")] : []),
    ],
    { cwd: workspace.folder, stdio: ["ignore", "pipe", "pipe"], timeout: longestMs, killSignal: "SIGKILL" },
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output += String(text)));
  const stop = () => void child.kill("SIGKILL");
  process.once("exit", stop);
  await once(child, "exit");
  process.off("exit", stop);
  const seconds = Math.round((performance.now() - beganAt) / 1_000);

  let verdicts: Verdict[];
  try {
    ({ verdicts } = JSON.parse(await readFile(json, "utf8")) as { verdicts: Verdict[] });
  } catch (cause) {
    throw new Error(`the campaign of ${build.name} came to no verdict:\n${output.slice(-2_000)}`, { cause });
  }
  const broken = verdicts.filter(({ breaches }) => breaches.length > 0);
  const caughtBy = broken.map(({ id }) => id).filter((id) => build.breaks.includes(id));
  for (const { id, breaches, count } of broken) say(`  ${id}, ${count} times: ${breaches[0]}`);
  return { build, seed, seconds, broken, caughtBy };
}
