import { createHash } from "node:crypto";

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

let known: Promise<readonly Migration[]> | undefined;

/**
 * Returns the migrations that this code knows. Their texts are a module of their own, loaded when
 * it is first asked for: a process that only enqueues or works does without it.
 */
export function readMigrations(): Promise<readonly Migration[]> {
  known ??= load();
  known.catch(() => (known = undefined));
  return known;
}

async function load(): Promise<Migration[]> {
  const { migrationTexts } = await import("./migration-texts.ts");
  return migrationTexts.map(([name, text], place) => ({
    version: place + 1,
    name,
    ...readMigration(text, place + 1),
  }));
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
