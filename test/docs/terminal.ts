import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { eventually } from "../support/eventually.ts";
import { plainEnvironment } from "../support/plain-environment.ts";
import { root } from "./blocks.ts";

/** A command line as a newcomer types it: with bash, in the repository, and in a process group of its own. */
export class Terminal {
  output = "";
  errors = "";
  /** Resolves with the exit code, or with the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
  readonly #child: ChildProcess;

  constructor(commandLine: string, env: Record<string, string> = {}) {
    this.#child = spawn("bash", ["-c", commandLine], {
      cwd: root,
      env: { ...plainEnvironment(), ...env },
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.output += text));
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.errors += text));
    this.exited = once(this.#child, "close").then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals);
  }

  get said(): string {
    return `${this.output}\n${this.errors}`;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Waits for words on stdout. Throws when it ends without them. */
  async says(pattern: RegExp, withinMs: number): Promise<RegExpExecArray> {
    const found = await eventually(() => pattern.exec(this.output) ?? (!this.isRunning && "gone"), {
      withinMs,
      what: `${pattern}`,
    });
    if (typeof found === "object") return found;
    throw new Error(`it ended without ${pattern}:\n${this.said}`);
  }

  signalGroup(signal: NodeJS.Signals): void {
    if (this.isRunning) process.kill(-(this.#child.pid as number), signal);
  }

  /** Ends it whatever it does, with all that it started. */
  async end(): Promise<void> {
    this.signalGroup("SIGKILL");
    await this.exited;
  }
}

/** Runs a command line to its end. Throws what it said when that is not within the deadline. */
export async function run(commandLine: string, env: Record<string, string>, withinMs: number) {
  const terminal = new Terminal(commandLine, env);
  let isLate = false;
  const deadline = setTimeout(() => {
    isLate = true;
    terminal.signalGroup("SIGKILL");
  }, withinMs);
  const code = await terminal.exited;
  clearTimeout(deadline);
  if (isLate) throw new Error(`it did not end within ${withinMs} ms: ${commandLine}\n${terminal.said}`);
  return { code, output: terminal.output, errors: terminal.errors, said: terminal.said };
}
