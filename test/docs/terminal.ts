import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { eventually } from "../support/eventually.ts";
import { plainEnvironment } from "../support/plain-environment.ts";
import { root } from "./blocks.ts";

/**
 * How a command line runs: as typed, or directly as pnpm would run it. The second way leaves out
 * pnpm and its build, which take two seconds of CPU a command, and the demo's delay between
 * requests.
 */
export type Manner = "as typed" | "without pnpm";

const { scripts } = JSON.parse(readFileSync(`${root}package.json`, "utf8")) as { scripts: Record<string, string> };

/** The command line that pnpm would run after the build. Throws if it is not a script. */
export function withoutPnpm(commandLine: string): string {
  return commandLine.replaceAll(/npx -y pnpm@12 (run (\S+)|exec(?= ))/g, (_, verb: string, name: string) => {
    if (verb === "exec") return "";
    const script = scripts[name];
    if (script === undefined) throw new Error(`package.json has no script ${name}`);
    return script.replace(/^node \.ci\/generate\.mjs && tsc -b[^&]*&& /, "");
  });
}

/**
 * A command line as a newcomer runs it: with bash, in the repository, and in its own process group.
 */
export class Terminal {
  output = "";
  errors = "";
  /** Resolves with the exit code, or with the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
  readonly #child: ChildProcess;

  constructor(commandLine: string, env: Record<string, string> = {}, manner: Manner = "as typed") {
    const isTyped = manner === "as typed";
    const plain = plainEnvironment();
    const shortcuts = isTyped ? {} : { PATH: `${root}node_modules/.bin:${plain["PATH"]}`, SCRAPER_REQUEST_DELAY: "0" };
    this.#child = spawn("bash", ["-c", isTyped ? commandLine : withoutPnpm(commandLine)], {
      cwd: root,
      env: { ...plain, ...shortcuts, ...env },
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

  /** Waits for text on stdout. Throws if it ends without the text. */
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

  /** Ends it and everything that it started. */
  async end(): Promise<void> {
    this.signalGroup("SIGKILL");
    await this.exited;
  }
}

/**
 * Runs a command line to its end. Throws with its output if it does not end within the deadline.
 */
export async function run(commandLine: string, env: Record<string, string>, withinMs: number, manner?: Manner) {
  const terminal = new Terminal(commandLine, env, manner);
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
