import { closeSync, fsyncSync, openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { now } from "./clock.ts";
import type { Entry, Event } from "./entries.ts";

/**
 * The outside ledger: append-only files that no fault touches, one for each process start. What is written survives the writer's
 * SIGKILL at once, and the machine's end where an acknowledgement depends on it.
 */
export class LedgerFile {
  readonly #file: number;

  constructor(folder: string, name: string) {
    this.#file = openSync(join(folder, `${name}.jsonl`), "a");
  }

  /** Appends in one write, and answers what was written. */
  write(event: Event & { pid?: number; at?: number }): Entry {
    const entry: Entry = { at: now(), pid: process.pid, ...event };
    writeSync(this.#file, `${JSON.stringify(entry)}\n`);
    return entry;
  }

  /** Forces what was written to the disk: call it once somebody may rely on it. */
  sync(): void {
    fsyncSync(this.#file);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** All that the processes wrote, in the order of its time. A last line that is half written is left out. */
export function readLedger(folder: string): Entry[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".jsonl"))
    .flatMap((file) => readFileSync(join(folder, file), "utf8").split("\n").slice(0, -1))
    .map((line) => JSON.parse(line) as Entry)
    .toSorted((one, other) => one.at - other.at);
}
