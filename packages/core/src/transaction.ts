import type { Queryable } from "./database.ts";
import { quote } from "./errors/hark-error.ts";
import { NotATransactionError } from "./errors/index.ts";
import { pgTypes } from "./pg-types.ts";
import { failedTransaction, provenQueryable, type Send } from "./transaction-probe.ts";

/** A pg client with an open transaction. */
export interface PgTransaction {
  query(statement: { text: string; values: unknown[] }): Promise<{ rows: any[] }>;
}
/**
 * A transaction of another library on PostgreSQL that runs SQL with $1, $2, ... and answers rows: a
 * QueryRunner or transactional EntityManager of TypeORM, the `t` of pg-promise.
 */
export interface SqlTransaction {
  query(text: string, values?: any[]): PromiseLike<any>;
}
/** A Drizzle transaction, whichever version and driver it stands on. */
export interface DrizzleTransaction {
  execute(query: any): PromiseLike<unknown>;
  rollback(): never;
}
/** What `in(tx)` accepts. */
export type Transaction = PgTransaction | SqlTransaction | DrizzleTransaction;

const advice = "Pass a pg client after BEGIN, or the tx of db.transaction(async (tx) => ...).";

/**
 * Returns a {@link Queryable} that runs our statements inside the caller's transaction, so that
 * they commit or vanish with it. Before each statement it makes sure that the transaction is open:
 * a statement after COMMIT would commit by itself. A client of pg 8.21 or later knows that, also
 * below Drizzle. Of others it is asked, in one more round trip, and in two before the first
 * statement.
 * @throws NotATransactionError at once for a pool, a Drizzle database, a client without BEGIN, or
 * anything without query() or execute(); from query() for a transaction that has ended, and for
 * answers that are no rows
 */
export function queryableOf(tx: Transaction): Queryable {
  const given: unknown = tx;
  if (typeof given !== "object" || given === null) {
    throw new NotATransactionError(typeof given === "function" ? "a function" : quote(given), advice);
  }
  if (has(given, "execute")) {
    if (!has(given, "rollback")) {
      throw new NotATransactionError(
        "a Drizzle database, or another object with execute() and without rollback()",
        "Each of its queries commits alone: pass the tx of db.transaction(async (tx) => ...), or enqueue without in().",
      );
    }
    const { execute } = given;
    const send: Send = async ({ text, values }) => execute.call(given, drizzleStatement(text, values) as never);
    return openQueryable([send], clientBelow(given));
  }
  if (has(given, "query")) {
    if ("totalCount" in given && "idleCount" in given) {
      throw new NotATransactionError(
        "a pool",
        "A pool has no transaction: pass a client of pool.connect() after BEGIN, or enqueue without in().",
      );
    }
    // Without the name: the caller's connection may lead through a pooler.
    const { query } = given as { query: (...given: unknown[]) => unknown };
    // With the types: parsers of the process, or of the client, may be the application's.
    const send: Send = async ({ text, values }) => query.call(given, { text, values, types: pgTypes });
    // As text, since drivers such as postgres.js make JSON of what they send as jsonb, once more.
    const sendInParts: Send = async ({ text, values }) =>
      query.call(given, text.replaceAll(/\$(\d+)::jsonb/g, "$$$1::text::jsonb"), values);
    const takesText = query.length >= 2 && !isPgClient(given);
    return openQueryable(takesText ? [sendInParts, send] : [send, sendInParts], given);
  }
  throw new NotATransactionError("an object without query() or execute()", advice);
}

function has<Name extends string>(value: object, name: Name): value is Record<Name, (...args: never[]) => unknown> {
  return typeof (value as Record<string, unknown>)[name] === "function";
}

/**
 * Whether it takes a statement as an object. Others with query(text, values) are asked with text
 * first: one that takes only text would send "[object Object]", and PostgreSQL would abort the
 * transaction for that.
 */
function isPgClient(given: object): boolean {
  return has(given, "getTransactionStatus") || "connectionParameters" in given || "processID" in given;
}

/** The pg client that a Drizzle transaction runs on, where it does. */
function clientBelow(tx: object): object | undefined {
  const { session } = tx as { session?: { client?: unknown } };
  return typeof session?.client === "object" ? (session.client ?? undefined) : undefined;
}

/** `client` may know whether the transaction is open. */
function openQueryable(sends: readonly Send[], client: object | undefined): Queryable {
  if (!client || !has(client, "getTransactionStatus") || !isKnown(client.getTransactionStatus()))
    return provenQueryable(sends);
  const check = () => {
    const status = client.getTransactionStatus();
    if (status === "I")
      throw new NotATransactionError(
        "a client without an open transaction",
        `Call client.query("begin") first, and enqueue before COMMIT or ROLLBACK.`,
      );
    if (status === "E") throw failedTransaction();
  };
  check();
  const [send] = sends;
  const proven = provenQueryable(sends);
  return {
    async query(statement) {
      // What was sent before and has no answer yet may be a COMMIT: the status is that of before.
      if ((client as { readyForQuery?: unknown }).readyForQuery === false) return proven.query(statement);
      check();
      return rowsOf(await send!(statement));
    },
  };
}

/** Whether it is a status as PostgreSQL reports it: idle, in a transaction, in a failed one. */
const isKnown = (status: unknown) => status === "I" || status === "T" || status === "E";

/** node-postgres answers { rows }, and postgres.js below Drizzle a list. */
function rowsOf(answer: unknown): { rows: Record<string, unknown>[] } {
  return Array.isArray(answer) ? { rows: answer } : (answer as { rows: Record<string, unknown>[] });
}

/** What Drizzle's dialects pass to a statement that is to become text. */
interface DrizzleConfig {
  escapeParam: (place: number, value: unknown) => string;
}

/**
 * One of our statements in the shape that Drizzle executes, with every $n as a parameter. Nothing
 * of drizzle-orm is imported: which copy of it made the transaction is not known here, and a bundle
 * of a project without Drizzle must not ask for it. Drizzle 0.43 to 1.0 takes this.
 */
function drizzleStatement(text: string, values: unknown[]) {
  return {
    getSQL() {
      return this;
    },
    toQuery({ escapeParam }: DrizzleConfig) {
      const params: unknown[] = [];
      const sql = text.replaceAll(/\$(\d+)/g, (_, number: string) => {
        params.push(values[Number(number) - 1]);
        return escapeParam(params.length - 1, params.at(-1));
      });
      return { sql, params };
    },
  };
}
