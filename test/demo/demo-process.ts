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

/** How long whatever a demo has started may take to end after it: a reaper's harshest way included. */
const tidyMs = 30_000;

export interface DemoRequest {
  args?: string[];
  env?: NodeJS.ProcessEnv;
  /** Answers the command line of another program around the demo's, as of a terminal. It can be typed into. */
  inside?: (command: string[]) => string[];
}

/** A test with `startDemo`: every demo runs in a temporary folder of its own, and is gone without a trace after the test. */
export const test = base.extend("startDemo", ({ onTestFinished }) => {
  const started: DemoProcess[] = [];
  onTestFinished(async () => {
    for (const demo of started) await demo.remove();
  });
  return async (request: DemoRequest = {}): Promise<DemoProcess> => {
    // Root's demo runs its database as another account, to which root's own temporary folder may be closed.
    const folder = await mkdtemp(join(process.getuid?.() === 0 ? "/tmp" : tmpdir(), "hark-demo-"));
    await chmod(folder, 0o1777);
    const demo = new DemoProcess(folder, request);
    started.push(demo);
    return demo;
  };
});

/** A demo as its own process group, as a terminal would start it. */
export class DemoProcess {
  /** Its temporary folder. */
  readonly folder: string;
  /** Resolves with the exit code, or with the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
  /** What it wrote to stdout so far. */
  output = "";
  /** And to stderr. */
  errors = "";
  readonly #child: ChildProcess;
  /** Of a given database, which stays. */
  readonly #givenPort: string;

  constructor(folder: string, { args = [], env = {}, inside = (command) => command }: DemoRequest) {
    this.folder = folder;
    const given = args[args.indexOf("--database") + 1] ?? "";
    this.#givenPort = args.includes("--database") && URL.canParse(given) ? new URL(given).port : "";
    const [program = "", ...rest] = inside([process.execPath, demoFile, ...args]);
    this.#child = spawn(program, rest, {
      detached: true, // its own group: a Ctrl-C shall not reach us
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

  /** The worker processes, once it has told. */
  get workerPids(): number[] {
    return [...(/^Crawling .*$/m.exec(this.output)?.[0] ?? "").matchAll(/pid (\d+)/g)].map(([, pid]) => Number(pid));
  }

  /** Waits until its output holds the pattern, and answers the match. Throws with the output when it ends before. */
  async says(pattern: RegExp, withinMs = 60_000): Promise<RegExpExecArray> {
    const found = await eventually(() => pattern.exec(this.output) ?? (this.#isGone && "gone"), {
      withinMs,
      what: `${pattern} in the demo's output`,
    });
    if (typeof found === "object") return found;
    throw new Error(`the demo ended without ${pattern}:\n${this.output}\n${this.errors}`);
  }

  /** Writes to its standard input, where `inside` gave it one. */
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

  /** Answers what is left of it: processes, files, and ports that it named. Empty when all is tidy. */
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
      throw new Error(`the demo left behind after ${withinMs} ms:\n${left.join("\n")}\nIt had said:\n${this.output}`);
    });
  }

  /** Ends it whatever it does, with all that it started, and removes its folder. */
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
