import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test as base } from "../setup/fixtures.ts";
import { eventually } from "../support/eventually.ts";
import { plainEnvironment } from "../support/plain-environment.ts";
import { isOpen, processesOf } from "./processes.ts";

export const demoFile = fileURLToPath(new URL("../../examples/datashelf/dist/demo.js", import.meta.url));

/**
 * How long the processes of a demo may take to end after it, in ms, including the reaper's SIGKILL.
 */
const tidyMs = 30_000;

export interface DemoRequest {
  args?: string[];
  env?: NodeJS.ProcessEnv;
  /**
   * Returns the command line of a program that runs the demo's, such as a terminal. It can be typed
   * into.
   */
  inside?: (command: string[]) => string[];
}

/**
 * A test with `startDemo`. Every demo runs in its own temporary folder, and is removed after the
 * test.
 */
export const test = base.extend("startDemo", ({ onTestFinished }) => {
  const started: DemoProcess[] = [];
  onTestFinished(async () => {
    for (const demo of started) await demo.remove();
  });
  return async (request: DemoRequest = {}): Promise<DemoProcess> => {
    // Root's demo runs its database as another account, which may not enter root's own temporary
    // folder.
    const folder = await mkdtemp(join(process.getuid?.() === 0 ? "/tmp" : tmpdir(), "hark-demo-"));
    await chmod(folder, 0o1777);
    const demo = new DemoProcess(folder, request);
    started.push(demo);
    return demo;
  };
});

/** A demo in its own process group, as a terminal starts it. */
export class DemoProcess {
  /** Its temporary folder. */
  readonly folder: string;
  /** Resolves with the exit code, or with the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
  /** What it wrote to stdout so far. */
  output = "";
  /** What it wrote to stderr so far. */
  errors = "";
  readonly #child: ChildProcess;
  /** Port of a given database, which stays. */
  readonly #givenPort: string;

  constructor(folder: string, { args = [], env = {}, inside = (command) => command }: DemoRequest) {
    this.folder = folder;
    const given = args[args.indexOf("--database") + 1] ?? "";
    this.#givenPort = args.includes("--database") && URL.canParse(given) ? new URL(given).port : "";
    const [program = "", ...rest] = inside([process.execPath, demoFile, ...args]);
    this.#child = spawn(program, rest, {
      detached: true, // its own group, so that a Ctrl-C does not reach us
      env: { ...plainEnvironment(), TMPDIR: folder, ...env },
      stdio: [program === process.execPath ? "ignore" : "pipe", "pipe", "pipe"],
    });
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.output += text));
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.errors += text));
    this.exited = once(this.#child, "close").then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals);
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** The worker processes, once it has printed them. */
  get workerPids(): number[] {
    return [...(/^Crawling .*$/m.exec(this.output)?.[0] ?? "").matchAll(/pid (\d+)/g)].map(([, pid]) => Number(pid));
  }

  /**
   * Waits until its output holds the pattern. Returns the match. Throws with the output if the demo
   * ends before.
   */
  async says(pattern: RegExp, withinMs = 60_000): Promise<RegExpExecArray> {
    const found = await eventually(() => pattern.exec(this.output) ?? (this.#isGone && "gone"), {
      withinMs,
      what: `${pattern} in the demo's output`,
    });
    if (typeof found === "object") return found;
    throw new Error(`the demo ended without ${pattern}:\n${this.output}\n${this.errors}`);
  }

  /** Writes to its standard input, if `inside` gave it one. */
  type(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Sends a signal to the whole group, as a terminal does. */
  signalGroup(signal: NodeJS.Signals): void {
    process.kill(-this.pid, signal);
  }

  /** Sends a signal to the demo itself. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /**
   * Returns what is left of it: processes, files, and ports that it named. Empty if nothing is
   * left.
   */
  async traces(): Promise<string[]> {
    const named = [...this.output.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => port!);
    const open: string[] = [];
    for (const port of new Set(named))
      if (port !== this.#givenPort && (await isOpen(Number(port)))) open.push(`port ${port}`);
    return [...processesOf(this.folder), ...(await readdir(this.folder)), ...open];
  }

  /** Waits until nothing is left of it. */
  async leavesNothing(withinMs = tidyMs): Promise<void> {
    let left: string[] = [];
    await eventually(async () => (left = await this.traces()).length === 0, { withinMs, everyMs: 50 }).catch(() => {
      throw new Error(`the demo left behind after ${withinMs} ms:\n${left.join("\n")}\nIts output:\n${this.output}`);
    });
  }

  /** Ends it and everything that it started, and removes its folder. */
  async remove(): Promise<void> {
    if (!this.#isGone) this.signalGroup("SIGKILL");
    await this.exited;
    await eventually(() => processesOf(this.folder).length === 0, { withinMs: tidyMs, everyMs: 50 }).catch(() => {
      for (const found of processesOf(this.folder)) process.kill(Number.parseInt(found, 10), "SIGKILL");
    });
    await rm(this.folder, { recursive: true, force: true });
  }

  get #isGone(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }
}
