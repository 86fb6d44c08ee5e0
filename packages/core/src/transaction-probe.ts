import { randomUUID } from "node:crypto";
import type { Queryable } from "./database.ts";
import { NotATransactionError } from "./errors/index.ts";
import { codeOf } from "./sqlstate.ts";

/** One way to call a transaction of a library. */
export type Send = (statement: { text: string; values: unknown[] }) => Promise<unknown>;

type Row = Record<string, unknown>;

/**
 * Runs statements in the transaction of a library that is not known: TypeORM, pg-promise, older pg.
 * Before anything is written it proves how the library is called, that it answers rows, and that a
 * transaction is open. For that it sets a setting that holds until the transaction ends, and reads
 * it before each statement. So a statement after COMMIT or ROLLBACK is refused, and so is a library
 * that runs each statement on another connection.
 * @throws NotATransactionError from query()
 */
export function provenQueryable(sends: readonly Send[]): Queryable {
  const mark = randomUUID();
  let proven: Send | undefined;

  const isMarked = async (send: Send, text: string) => {
    const rows = rowsIn(await send({ text, values: [] }));
    return rows !== undefined && rows.length === 1 && rows[0]!["hark_mark"] === mark;
  };
  const isOpen = (send: Send) => isMarked(send, "select current_setting('hark.mark', true) as hark_mark");
  const isStillOpen = (send: Send) =>
    isOpen(send).catch((error: unknown) => {
      throw codeOf(error) === "25P02" ? failedTransaction(error) : error;
    });

  const prove = async (): Promise<Send> => {
    let why: unknown;
    for (const send of sends) {
      try {
        if (!(await isMarked(send, `select set_config('hark.mark', '${mark}', true) as hark_mark`))) continue;
        if (await isOpen(send)) return send;
      } catch (error) {
        if (codeOf(error) === "25P02") throw failedTransaction(error);
        if (hasCode(error)) throw error; // of the database or the network
        why ??= error;
        continue;
      }
      throw new NotATransactionError(
        "an object without an open transaction",
        "Its statements commit alone, or the transaction has ended. Begin one, and enqueue before it ends. Nothing was written.",
      );
    }
    throw new NotATransactionError(
      "an object whose query() does not answer rows",
      "Pass a pg client after BEGIN, a Drizzle transaction, or a transaction whose query(text, values) returns a list of rows. " +
        "Nothing was written.",
      why,
    );
  };

  return {
    async query(statement) {
      // After ROLLBACK TO SAVEPOINT the setting may be gone, though the transaction is open.
      if (!proven || !(await isStillOpen(proven))) proven = await prove();
      return { rows: rowsIn(await proven(statement)) ?? [] };
    },
  };
}

/** Nothing can be written in it any more. */
export function failedTransaction(cause?: unknown): NotATransactionError {
  const advice = "Roll it back, and begin again.";
  return new NotATransactionError("a transaction in which a statement has failed", advice, cause);
}

/** The rows of an answer: `{ rows }`, or a list of them. Undefined for other shapes. */
function rowsIn(answer: unknown): Row[] | undefined {
  const rows: unknown = Array.isArray(answer) ? answer : (answer as { rows?: unknown } | undefined)?.rows;
  return Array.isArray(rows) && rows.every((row) => typeof row === "object" && row !== null && !Array.isArray(row))
    ? (rows as Row[])
    : undefined;
}

/** Whether it, or what caused it, has the code of a database or of the network. */
function hasCode(error: unknown): boolean {
  for (let depth = 0, each = error; depth < 4 && each instanceof Error; depth += 1, each = each.cause)
    if (/^([0-9A-Z]{5}|E(?!RR_)[A-Z_]{3,})$/.test(codeOf(each))) return true;
  return false;
}
