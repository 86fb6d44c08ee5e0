import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

export interface Migration {
  /**
   * From 1, in the order of drizzle-kit's journal. Code that knows it, and none after it, is of
   * this version too.
   */
  readonly version: number;
  readonly name: string;
  readonly statements: readonly string[];
  readonly hash: string;
  /**
   * The oldest version of code that runs with the schema as this leaves it: its own unless it says
   * so (docs/how-to/upgrade.md).
   */
  readonly oldestCode: number;
  /**
   * Its statements run by themselves, each as often as it takes: CREATE INDEX CONCURRENTLY refuses
   * to run in a transaction.
   */
  readonly isOutsideTransaction: boolean;
}

/** In the repository the migrations stand at its root; a published package carries its own copy. */
export const folder: string | undefined = [
  join(import.meta.dirname, "../drizzle"),
  join(import.meta.dirname, "../../../drizzle"),
].find((candidate) => existsSync(join(candidate, "meta/_journal.json")));

let known: Promise<readonly Migration[]> | undefined;

/**
 * Returns the migrations this code knows, as drizzle-kit wrote them. Read once: an installation
 * that is replaced under a running process brings files that its code does not know.
 */
export function readMigrations(): Promise<readonly Migration[]> {
  known ??= readFolder();
  known.catch(() => (known = undefined));
  return known;
}

async function readFolder(): Promise<Migration[]> {
  if (!folder) throw new Error("Hark's migrations are missing from this installation: install @hark/core again");
  const journal = JSON.parse(await readFile(join(folder, "meta/_journal.json"), "utf8")) as {
    entries: { tag: string }[];
  };
  return Promise.all(
    journal.entries.map(async ({ tag }, place) => {
      const text = await readFile(join(folder, `${tag}.sql`), "utf8");
      return { version: place + 1, name: tag, ...readMigration(text, place + 1) };
    }),
  );
}

/** A line of its own in a migration: what a release before it must know of it. */
const oldestCodeLine = /^-- Oldest code: version (\d+)\b/m;
const outsideTransactionLine = /^-- Outside a transaction\b/m;

/**
 * Reads a migration's text: its statements, and the comments at its head that say how to treat it.
 */
export function readMigration(text: string, version: number): Omit<Migration, "version" | "name"> {
  return {
    statements: text.split("--> statement-breakpoint"),
    hash: createHash("sha256").update(text).digest("hex"),
    oldestCode: Number(oldestCodeLine.exec(text)?.[1] ?? version),
    isOutsideTransaction: outsideTransactionLine.test(text),
  };
}
