import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { orLate } from "@hark/core/internal";
import { clockEnvironment } from "../ledger/clock.ts";
import type { Entry } from "../ledger/entries.ts";
import type { LedgerFile } from "../ledger/ledger.ts";
import type { News } from "../processes/tell.ts";

export interface MemberOptions {
  name: string;
  /** Its main file in processes/. */
  main: string;
  /** Returns its options at each start. `starts` counts the starts before this one. */
  options: (starts: number) => object;
  /** The campaign's own ledger, and the folder where the member writes its own. */
  ledger: LedgerFile;
  folder: string;
  onProbe?: (id: string) => void;
  /** Added to this process's environment. */
  env?: NodeJS.ProcessEnv;
  /** Loaded before its main file, and in each of its threads. */
  preload?: URL;
}

/** How much is kept of the log of a process that ended by itself, in characters. */
const mostWords = 3_000;

/** How long a process may take to end after it was told to, in ms. */
const stopMs = 20_000;

/**
 * One process of the campaign. It is started again when it ends, under the same name.
 */
export class Member {
  readonly name: string;
  readonly #given: MemberOptions;
  #child: ChildProcess | undefined;
  #starts = 0;
  #url: string | undefined;
  #log = "";
  /** The fault that is about to end it. */
  #endedBy: string | undefined;
  #staysDown = false;
  #restMs = 0;
  #comesBack: Promise<void> = Promise.resolve();
  #ready = Promise.withResolvers<void>();
  #isReady = false;
  readonly #killWithUs = (): void => void this.#child?.kill("SIGKILL");

  constructor(given: MemberOptions) {
    this.#given = given;
    this.name = given.name;
    process.once("exit", this.#killWithUs);
  }

  /** Resolves once it is ready for work. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** The URL that it reported, if it is the API. */
  get url(): string | undefined {
    return this.#url;
  }

  get isAlive(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The end of its log, for people. */
  get log(): string {
    return this.#log;
  }

  start(): void {
    const { main, options, ledger, onProbe, folder, env, preload } = this.#given;
    this.#endedBy = undefined;
    const child = fork(
      fileURLToPath(new URL(`../processes/${main}`, import.meta.url)),
      [JSON.stringify(options(this.#starts))],
      {
        execArgv: [], // without the test runner's arguments
        stdio: ["ignore", "ignore", "pipe", "ipc"],
        // The lease thread takes the preload from here, and not from the arguments.
        env: {
          ...process.env,
          ...clockEnvironment,
          ...env,
          ...(preload && { NODE_OPTIONS: `--import ${preload.href}` }),
        },
      },
    );
    this.#child = child;
    this.#starts += 1;
    const pid = child.pid as number;
    ledger.write({ event: "spawned", name: this.name, pid });
    child.stderr?.on("data", (text) => (this.#log = (this.#log + String(text)).slice(-200_000)));
    child.on("error", () => {}); // a message to a process that has just ended
    child.on("message", (news: News) => {
      if (news.kind === "probe") onProbe?.(news.id);
      else {
        this.#url = news.url;
        ledger.write({ event: "ready", name: this.name, pid });
        this.#isReady = true;
        this.#ready.resolve();
      }
    });
    child.once("exit", (code, signal) => {
      const by = this.#endedBy ?? (wasTold(folder, `${this.name}.${pid}`) ? "job" : undefined);
      ledger.write({ event: "exited", name: this.name, code: signal ?? code ?? "unknown", by, pid });
      // Its last output may arrive only now.
      if (by === undefined)
        child.once("close", () => ledger.write({ event: "last words", words: this.#log.slice(-mostWords), pid }));
      if (this.#isReady) this.#ready = Promise.withResolvers(); // otherwise callers go on waiting for the next start
      this.#isReady = false;
      if (!this.#staysDown)
        this.#comesBack = rest(this.#restMs).then(() => (this.#staysDown ? undefined : this.start()));
    });
  }

  /** Ends it by a fault. It is started again after `restMs`. */
  async kill(signal: "SIGKILL" | "SIGTERM", by: string, restMs: number): Promise<void> {
    const child = this.#child;
    if (!child || !this.isAlive) return;
    this.#endedBy = by;
    this.#restMs = restMs;
    const gone = once(child, "exit");
    child.kill(signal);
    if ((await orLate(gone, stopMs)) === "late") child.kill("SIGKILL");
    await gone;
  }

  /** Pauses it with SIGSTOP. Returns a function that resumes it. */
  pause(): () => void {
    const child = this.#child;
    child?.kill("SIGSTOP");
    return () => void child?.kill("SIGCONT");
  }

  say(word: string): void {
    if (this.#child?.connected) this.#child.send(word);
  }

  /**
   * Ends it for good: by SIGTERM if it is a worker, otherwise by a message. A process that does not
   * end in time is killed, and that is recorded.
   */
  async end(how: "SIGTERM" | "stop" | "SIGKILL"): Promise<void> {
    this.#staysDown = true;
    await this.#comesBack;
    process.off("exit", this.#killWithUs);
    const child = this.#child;
    if (!child || !this.isAlive) return;
    const gone = once(child, "exit");
    this.#endedBy = how === "stop" ? "SIGTERM" : how;
    if (how === "stop") this.say("stop");
    else child.kill(how);
    if ((await orLate(gone, stopMs)) === "late") child.kill("SIGKILL");
    await gone;
  }
}

const rest = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Whether the last entry of a process says that it runs a job which ends it. */
function wasTold(folder: string, name: string): boolean {
  try {
    const lines = readFileSync(join(folder, `${name}.jsonl`), "utf8")
      .split("\n")
      .slice(0, -1);
    const entries = lines.map((line) => JSON.parse(line) as Entry);
    return entries.some((entry) => entry.event === "started" && (entry.does === "exit" || entry.does === "kill"));
  } catch {
    return false; // it wrote nothing
  }
}
