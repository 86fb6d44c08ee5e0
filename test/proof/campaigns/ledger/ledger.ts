import { closeSync, fsyncSync, openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { now } from "./clock.ts";
import type { Entry, Event } from "./entries.ts";

/**
 * The outside ledger: append-only files that no fault touches, one for each process start. An entry
 * survives a SIGKILL of its writer as soon as it is written. After sync() it also survives a crash
 * of the machine.
 */
export class LedgerFile {
  readonly #file: number;

  constructor(folder: string, name: string) {
    this.#file = openSync(join(folder, `${name}.jsonl`), "a");
  }

  /** Appends an entry in one write. Returns the entry. */
  write(event: Event & { pid?: number; at?: number }): Entry {
    const entry: Entry = { at: now(), pid: process.pid, ...event };
    writeSync(this.#file, `${JSON.stringify(entry)}\n`);
    return entry;
  }

  /** Flushes the entries to the disk. Call it before anything relies on them. */
  sync(): void {
    fsyncSync(this.#file);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** Returns all entries of the processes, in order of time. An incomplete last line is left out. */
export function readLedger(folder: string): Entry[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".jsonl"))
    .flatMap((file) => readFileSync(join(folder, file), "utf8").split("\n").slice(0, -1))
    .map((line) => JSON.parse(line) as Entry)
    .toSorted((one, other) => one.at - other.at);
}
