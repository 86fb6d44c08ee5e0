import type { Queryable } from "./database.ts";
import { NotATransactionError } from "./errors/index.ts";

/** A pg client with an open transaction. */
export interface PgTransaction {
  query(statement: { text: string; values: unknown[] }): Promise<{ rows: any[] }>;
}
/** A Drizzle transaction, whichever version and driver it stands on. */
export interface DrizzleTransaction {
  execute(query: any): PromiseLike<unknown>;
  rollback(): never;
}
/** What `in(tx)` accepts. */
export type Transaction = PgTransaction | DrizzleTransaction;

/**
 * Returns a {@link Queryable} that runs our statements inside the caller's transaction, so that
 * they commit or vanish with it.
 * @throws NotATransactionError for a pool, a Drizzle database, a client without BEGIN, or anything
 * else
 */
export function queryableOf(tx: Transaction): Queryable {
  const given: unknown = tx;
  if (typeof given !== "object" || given === null) {
    throw new NotATransactionError(
      String(given),
      "Pass a pg client after BEGIN, or the tx of db.transaction(async (tx) => ...).",
    );
  }
  if (has(given, "execute")) {
    if (!has(given, "rollback")) {
      throw new NotATransactionError(
        "a Drizzle database",
        "Each of its queries commits alone: pass the tx of db.transaction(async (tx) => ...), or enqueue without in().",
      );
    }
    return drizzleQueryable(given as DrizzleTransaction);
  }
  if (has(given, "query")) {
    if ("totalCount" in given && "idleCount" in given) {
      throw new NotATransactionError(
        "a pool",
        "A pool has no transaction: pass a client of pool.connect() after BEGIN, or enqueue without in().",
      );
    }
    // pg 8.21 and later know; for older ones the caller's word stands.
    if (has(given, "getTransactionStatus") && given.getTransactionStatus() === "I") {
      throw new NotATransactionError("a client without an open transaction", `Call client.query("begin") first.`);
    }
    return pgQueryable(given as PgTransaction);
  }
  throw new NotATransactionError(
    `an object without query() or execute()`,
    "Pass a pg client after BEGIN, or the tx of db.transaction(async (tx) => ...).",
  );
}

function has<Name extends string>(value: object, name: Name): value is Record<Name, (...args: never[]) => unknown> {
  return typeof (value as Record<string, unknown>)[name] === "function";
}

function pgQueryable(client: PgTransaction): Queryable {
  // Without the name: the caller's connection may lead through a pooler.
  return { query: ({ text, values }) => client.query({ text, values }) };
}

function drizzleQueryable(tx: DrizzleTransaction): Queryable {
  return {
    async query({ text, values }) {
      const answer = await tx.execute(drizzleStatement(text, values));
      // node-postgres answers { rows }, postgres.js an array.
      return {
        rows: (Array.isArray(answer) ? answer : (answer as { rows: unknown[] }).rows) as Record<string, unknown>[],
      };
    },
  };
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
