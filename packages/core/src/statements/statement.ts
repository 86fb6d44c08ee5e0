import type { Queryable } from "../database.ts";
import { withoutRowText } from "../redact.ts";
import { isJobIdTaken } from "../sqlstate.ts";

/** A row as drivers hand it over: names in snake_case, bigints perhaps still text. */
export type RawRow = Record<string, unknown>;

export interface Statement<Request, Row> {
  (db: Queryable, request: Request): Promise<Row[]>;
  /** For EXPLAIN, and for the test that prepares every statement against the migrated database. */
  readonly statementName: string;
  readonly text: string;
}

/**
 * One move of a job: plain SQL under a name, the fields of its request in the order of $1, $2, ...,
 * and how to read a row.
 */
export function statement<Request extends object, Row>(
  statementName: string,
  parameters: readonly (keyof Request & string)[],
  text: string,
  decode: (row: RawRow) => Row,
): Statement<Request, Row> {
  const run = async (db: Queryable, request: Request): Promise<Row[]> => {
    const values = parameters.map((parameter) => request[parameter]);
    const ask = async () => (await db.query({ name: statementName, text, values })).rows;
    try {
      return (await ask().catch((error: unknown) => afterSeparation(db, statementName, error, ask))).map(decode);
    } catch (error) {
      throw withoutRowText(error); // what it quotes may be a payload
    }
  };
  return Object.assign(run, { statementName, text });
}

/**
 * Two jobs had one id, since the sequence stood behind the tables (FM-83): gives each an id of its
 * own, and asks again, also if another process was quicker. Throws `error` if it was for something
 * else, or in a transaction of the caller's, which has failed by now.
 */
async function afterSeparation<Answer>(
  db: Queryable,
  statementName: string,
  error: unknown,
  ask: () => Promise<Answer>,
): Promise<Answer> {
  if (!isJobIdTaken(error)) throw error;
  // A producer may do no more, and a new job needs no more.
  const mend = statementName === "insert-jobs" ? "select hark.advance_ids()" : "select hark.separate_ids()";
  const isMended = await db.query({ text: mend, values: [] }).then(
    () => true,
    () => false,
  );
  if (!isMended) throw error;
  return ask();
}

/** An id column as bigint, also where the driver leaves int8 as text. */
export const asId = (value: unknown): bigint => BigInt(value as string | number | bigint);

/** Decodes a row of a statement without RETURNING, of which there are none. */
export function neverReturned(): never {
  throw new Error("a statement without RETURNING returned a row");
}
