import { EventEmitter } from "node:events";
import { existsSync } from "node:fs";
import { Worker as Thread, type WorkerOptions } from "node:worker_threads";
import type { LeaseNews } from "./lease-renewal.ts";
import { leaseThreadBundle } from "./lease-thread-bundle.ts";
import type { LeaseThreadData, LeaseThreadWord } from "./lease-thread.ts";

/** The lease thread, seen from the main one. */
export interface LeaseThread {
  on(event: "message", heard: (news: LeaseNews) => void): unknown;
  on(event: "error", failed: (error: unknown) => void): unknown;
  on(event: "exit", exited: () => void): unknown;
  once(event: "exit", exited: () => void): unknown;
  postMessage(word: LeaseThreadWord): void;
  terminate(): Promise<unknown>;
}

/**
 * Starts the lease thread. An installation has a file for it, which uses the application's `pg`. A
 * bundle has no such file, and a deployment that was traced may have it without what it imports:
 * there the thread runs from a text that contains all it needs (docs/decisions/0032).
 */
export function startLeaseThread(data: LeaseThreadData): LeaseThread {
  const { NODE_OPTIONS = "", ...env } = process.env;
  const options: WorkerOptions = {
    workerData: data,
    name: "hark lease",
    execArgv: networkOptions(process.execArgv),
    env: { ...env, NODE_OPTIONS: networkOptions(NODE_OPTIONS.split(/\s+/)).join(" ") },
  };
  const fromText = () => start(leaseThreadBundle, { ...options, eval: true });
  const file = ownFile();
  return file === undefined ? fromText() : new FallbackThread(start(file, options), fromText);
}

/**
 * The thread's file in this package. Undefined in a bundle, where `import.meta.url` is missing, or
 * leads to the bundle, or to a place on the machine that built it. The URL is put together as text:
 * bundlers understand `new URL(name, import.meta.url)` and would take the file for an asset.
 */
function ownFile(): URL | undefined {
  const here: string | undefined = import.meta.url;
  // The published package consists of a few files, which were put together from these.
  const root = /^file:.*\/worker\/(?:dist|src)(?=\/)/.exec(here ?? "")?.[0];
  if (root === undefined) return undefined;
  const file = new URL([root, "lease", "lease-thread.".concat(root.endsWith("dist") ? "js" : "ts")].join("/"));
  return existsSync(file) ? file : undefined;
}

/**
 * Those of this process's options, of its command line or of NODE_OPTIONS, that decide how a
 * connection is made. All others stay here: what `--import` and `--require` load has no business in
 * the thread, and with `--input-type` it could not start.
 */
function networkOptions(words: readonly string[]): string[] {
  const names = /^--(use-system-ca$|tls-m(in|ax)-v|dns-result-order=|(no-)?network-family-autoselection)/;
  return words.filter((word) => names.test(word));
}

function start(fileOrText: URL | string, options: WorkerOptions): Thread {
  try {
    return new Thread(fileOrText, options);
  } catch (error) {
    // This version of Node has one of the options for whole processes only.
    if ((error as NodeJS.ErrnoException).code !== "ERR_WORKER_INVALID_EXEC_ARGV") throw error;
    return new Thread(fileOrText, { ...options, execArgv: [] });
  }
}

/** A thread that is replaced by another if it ends before it has sent a message. */
class FallbackThread extends EventEmitter implements LeaseThread {
  #thread: Thread;
  #isStopping = false;

  constructor(thread: Thread, startOther: () => Thread) {
    super();
    this.#thread = thread;
    let hasLoaded = false;
    thread.on("message", (news) => {
      hasLoaded = true;
      this.emit("message", news);
    });
    thread.on("error", (error) => {
      if (hasLoaded) this.emit("error", error);
    });
    thread.on("exit", () => {
      if (hasLoaded || this.#isStopping) {
        this.emit("exit");
        return;
      }
      this.#thread = startOther();
      for (const event of ["message", "error", "exit"]) this.#thread.on(event, (fact) => this.emit(event, fact));
    });
  }

  postMessage(word: LeaseThreadWord): void {
    if (word === "stop") this.#isStopping = true;
    this.#thread.postMessage(word);
  }

  terminate(): Promise<number> {
    this.#isStopping = true;
    return this.#thread.terminate();
  }
}
