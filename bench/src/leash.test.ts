import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { eventually } from "./clock.ts";

/**
 * A server that ignores SIGTERM, and its owner, which prints the server's process id once both run.
 */
const serverSource = `process.on("SIGTERM", () => {}); setInterval(() => {}, 1000); console.log("up");`;
const ownerSource = (folder: string) => `
  import { spawn } from "node:child_process";
  import { once } from "node:events";
  import { leash } from ${JSON.stringify(new URL("leash.ts", import.meta.url).href)};
  const server = spawn(process.execPath, ["-e", ${JSON.stringify(serverSource)}, "--", ${JSON.stringify(folder)}], { detached: true });
  await once(server.stdout, "data");
  const held = leash(server.pid, { words: ${JSON.stringify(folder)}, folder: ${JSON.stringify(folder)} });
  console.log(server.pid);
  process.stdin.once("data", () => held[Symbol.asyncDispose]().then(() => process.exit()));
  setInterval(() => {}, 1000);`;

async function startOwner() {
  const folder = await mkdtemp(join(tmpdir(), "hark-leash-"));
  const owner = spawn(process.execPath, ["--input-type=module", "-e", ownerSource(folder)]);
  const [told] = await once(owner.stdout, "data", { signal: AbortSignal.timeout(20_000) });
  return { owner, server: Number(String(told)), folder };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test.for(["SIGINT", "SIGTERM", "SIGKILL"] as const)(
  "a server on a leash ends together with its owner, and its folder is removed: %s",
  { timeout: 40_000 },
  async (signal) => {
    const { owner, server, folder } = await startOwner();
    expect(isAlive(server)).toBe(true);
    owner.kill(signal);
    expect(await eventually(() => !isAlive(server) && !existsSync(folder), 10_000)).toBe(true);
  },
);

test("a server ends when its leash is disposed of", { timeout: 40_000 }, async () => {
  const { owner, server, folder } = await startOwner();
  const gone = once(owner, "exit", { signal: AbortSignal.timeout(20_000) });
  owner.stdin.write("release\n");
  await gone;
  // It is dead by now, but init may not have reaped it yet.
  expect(await eventually(() => !isAlive(server), 5_000)).toBe(true);
  expect(existsSync(folder)).toBe(false);
});
