import { appendFileSync, closeSync, openSync, readSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { eventually } from "./eventually.ts";

/**
 * What a handler did. The handler wrote it down itself, so it is true even if its process or the
 * database has failed since.
 */
export interface LedgerEntry {
  event: "started" | "aborted" | "ended";
  /** The job's id. */
  id: string;
  token: string;
  attempt: number;
  key?: string | undefined;
  /** For "aborted": the code of the signal's reason. */
  reason?: string | undefined;
  worker: string;
  pid: number;
  /** The moment by monotonicUs(). */
  at: number;
  /** The moment in us by the database's clock, if the worker was told to ask for it. */
  databaseAt?: number | undefined;
}

/** The machine's monotonic clock, the same for all its processes, in us. */
export function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}

/**
 * Appends in one write, so that lines of different processes do not mix. What is written survives a
 * SIGKILL of the writer.
 */
export function appendToLedger(file: string, entry: LedgerEntry): void {
  appendFileSync(file, `${JSON.stringify(entry)}\n`);
}

/** The reference of the fault tests: an append-only file that no fault touches. */
export class Ledger {
  readonly file: string;
  /** The entries that were read so far: a long run reads a long file many times. */
  readonly #entries: LedgerEntry[] = [];
  #readBytes = 0;

  private constructor(file: string) {
    this.file = file;
  }

  static async create(name: string): Promise<Ledger> {
    const file = join(await mkdtemp(join(tmpdir(), "hark-ledger-")), `${name}.jsonl`);
    writeFileSync(file, "");
    return new Ledger(file);
  }

  async remove(): Promise<void> {
    await rm(dirname(this.file), { recursive: true, force: true });
  }

  read(): LedgerEntry[] {
    const fresh = this.#readFrom(this.#readBytes);
    const whole = fresh.subarray(0, fresh.lastIndexOf("\n") + 1); // the last line may be incomplete
    this.#readBytes += whole.length;
    for (const line of whole.toString().split("\n").slice(0, -1)) this.#entries.push(JSON.parse(line) as LedgerEntry);
    return [...this.#entries];
  }

  #readFrom(start: number): Buffer {
    const bytes = Buffer.alloc(Math.max(statSync(this.file).size - start, 0));
    const file = openSync(this.file, "r");
    try {
      return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, start));
    } finally {
      closeSync(file);
    }
  }

  /** The entries of one event, and of one job if its id is given. */
  of(event: LedgerEntry["event"], id?: bigint): LedgerEntry[] {
    return this.read().filter((entry) => entry.event === event && (id === undefined || entry.id === String(id)));
  }

  /** Waits until there are `count` entries of an event. Returns them. */
  until(event: LedgerEntry["event"], count: number, withinMs: number, id?: bigint): Promise<LedgerEntry[]> {
    const look = () => {
      const entries = this.of(event, id);
      return entries.length >= count ? entries : undefined;
    };
    return eventually(look, { withinMs, what: `${count} times "${event}"`, everyMs: 20 });
  }
}
