import { expect, test } from "vitest";
import { queryableOf, type Transaction } from "./transaction.ts";

type Rows = Record<string, unknown>[];

/**
 * A database that knows the setting of the current transaction, and what was written. `begin` and
 * `end` stand for what the caller does.
 */
function database() {
  let mark: string | null | undefined;
  return {
    isOpen: true,
    written: [] as string[],
    end() {
      this.isOpen = false;
      mark = undefined;
    },
    rollbackToSavepoint() {
      mark = undefined;
    },
    run(text: string): Rows {
      const [, set] = /set_config\('hark\.mark', '([^']+)', true\)/.exec(text) ?? [];
      if (set !== undefined) {
        if (this.isOpen) mark = set;
        return [{ hark_mark: set }];
      }
      if (text.includes("current_setting")) return [{ hark_mark: mark ?? null }];
      this.written.push(text);
      return [{ id: 7 }];
    },
  };
}

/** How libraries are called, and what they answer. */
const shapes: [name: string, txOn: (db: ReturnType<typeof database>) => object, isRefused?: boolean][] = [
  ["an old pg client", (db) => ({ query: async ({ text }: { text: string }) => ({ rows: db.run(text) }) })],
  [
    "a client that is not connected yet",
    (db) => ({
      getTransactionStatus: () => null,
      query: async ({ text }: { text: string }) => ({ rows: db.run(text) }),
    }),
  ],
  [
    "pg-promise",
    (db) => ({
      query: async (given: string | { text: string }) => db.run(typeof given === "string" ? given : given.text),
    }),
  ],
  ["TypeORM", (db) => ({ query: async (text: string) => db.run(text.trim()) })],
  [
    "a driver below query(text, values), whose transaction is aborted by anything else",
    (db) => ({
      query: async (text: unknown, values: unknown[]) => {
        if (typeof text !== "string" || !Array.isArray(values)) db.end();
        return db.run(String(text));
      },
    }),
  ],
  [
    "TypeORM that answers for an object, but nothing",
    (db) => ({ query: async (given: unknown) => (typeof given === "string" ? db.run(given) : undefined) }),
  ],
  [
    "Drizzle on postgres.js",
    (db) => ({ rollback() {}, execute: async (query: any) => db.run(query.toQuery({ escapeParam: String }).sql) }),
  ],
  ["Sequelize", (db) => ({ query: async (given: any) => [db.run(given.text ?? given), {}] }), true],
  [
    "a library that returns a number of rows",
    (db) => ({ query: async (given: any) => db.run(given.text ?? given).length }),
    true,
  ],
  ["a library that answers nothing", (db) => ({ query: async (given: any) => void db.run(given.text ?? given) }), true],
  [
    "a library that answers values",
    (db) => ({ query: async (given: any) => db.run(given.text ?? given).map(Object.values) }),
    true,
  ],
  [
    "a library with another call",
    () => ({
      query: async () => {
        throw new TypeError("give a template");
      },
    }),
    true,
  ],
  ["MikroORM", () => ({ rollback: async () => {}, execute: async (text: string) => text.trim() }), true],
];

test.for(shapes)(
  "%s works, or is refused before anything is written",
  { tags: ["FM-66"] },
  async ([, txOn, isRefused = false]) => {
    const db = database();
    const queryable = queryableOf(txOn(db) as Transaction);
    const answer = queryable.query({ text: "insert", values: [] });
    if (isRefused)
      await expect(answer).rejects.toMatchObject({
        code: "NOT_A_TRANSACTION",
        message: expect.stringContaining("does not answer rows") as string,
      });
    else expect(await answer).toEqual({ rows: [{ id: 7 }] });
    expect(db.written).toEqual(isRefused ? [] : ["insert"]);
  },
);

test.for(shapes.filter(([, , isRefused]) => !isRefused))(
  "with %s nothing is written before BEGIN, or after COMMIT",
  { tags: ["FM-66"] },
  async ([, txOn]) => {
    const db = database();
    const tx = txOn(db) as Transaction;
    const queryable = queryableOf(tx);
    await queryable.query({ text: "first", values: [] });
    db.end();
    const refusal = {
      code: "NOT_A_TRANSACTION",
      message: expect.stringContaining("without an open transaction") as string,
    };
    await expect(queryable.query({ text: "second", values: [] })).rejects.toMatchObject(refusal);
    await expect(queryableOf(tx).query({ text: "third", values: [] })).rejects.toMatchObject(refusal);
    expect(db.written).toEqual(["first"]);
  },
);

test("a transaction goes on after ROLLBACK TO SAVEPOINT", async () => {
  const db = database();
  const queryable = queryableOf({ query: async (text: string) => db.run(text.trim()) });
  await queryable.query({ text: "first", values: [] });
  db.rollbackToSavepoint();
  await queryable.query({ text: "second", values: [] });
  expect(db.written).toEqual(["first", "second"]);
});

test("an error of the database while the transaction is proven stays that error", async () => {
  const broken = Object.assign(new Error("current transaction is aborted"), { code: "25P02" });
  const queryable = queryableOf({
    query: async () => {
      throw new Error("failed query", { cause: broken });
    },
  });
  await expect(queryable.query({ text: "insert", values: [] })).rejects.toMatchObject({ cause: { code: "25P02" } });
});

test("a driver that makes JSON of what it sends as jsonb gets it as text", async () => {
  const db = database();
  const queryable = queryableOf({ query: async (text: string, _values: unknown[]) => db.run(text) });
  await queryable.query({ text: "insert $1::jsonb, $2::int", values: ["[]", 1] });
  expect(db.written).toEqual(["insert $1::text::jsonb, $2::int"]);
});

test("a transaction in which a statement failed is refused as such, before and after the first statement", async () => {
  const db = database();
  let isAborted = false;
  const query = async (text: string, _values: unknown[]) => {
    if (isAborted) throw Object.assign(new Error("current transaction is aborted"), { code: "25P02" });
    return db.run(text);
  };
  const begun = queryableOf({ query });
  await begun.query({ text: "first", values: [] });
  isAborted = true;
  for (const queryable of [begun, queryableOf({ query })])
    await expect(queryable.query({ text: "second", values: [] })).rejects.toMatchObject({
      code: "NOT_A_TRANSACTION",
      message: expect.stringContaining("a statement has failed") as string,
      cause: { code: "25P02" },
    });
  expect(db.written).toEqual(["first"]);
});
