import { expect, test, vi } from "vitest";
import { queryableOf } from "./transaction.ts";

const pool = { query() {}, connect() {}, totalCount: 0, idleCount: 0 };
const idleClient = { query() {}, getTransactionStatus: () => "I" };
const drizzleDatabase = { execute() {}, transaction() {} };

test.each([
  ["a pool", pool, /but got a pool.*client of pool.connect\(\) after BEGIN/],
  ["a client without BEGIN", idleClient, /without an open transaction.*query\("begin"\)/],
  ["a Drizzle database", drizzleDatabase, /Drizzle database.*db\.transaction/],
  [
    "a client whose transaction has failed",
    { query() {}, getTransactionStatus: () => "E" },
    /has failed.*Roll it back/,
  ],
  ["nothing", undefined, /but got undefined/],
  ["a function, such as the trx of Knex", () => {}, /but got a function\. Pass a pg client/],
  ["a long text", "x".repeat(10_000), /but got "x{79}\.\.\./],
  ["something else", {}, /without query\(\) or execute\(\)/],
])("%s is no transaction, and the error says what to pass", (_, given, message) => {
  expect(() => queryableOf(given as never)).toThrow(message);
});

test("a pg client in a transaction runs statements without a name, since it may lead through a pooler", async () => {
  const query = vi.fn(async () => ({ rows: [{ id: "1" }] }));
  const queryable = queryableOf({ query, getTransactionStatus: () => "T" } as never);
  expect(await queryable.query({ name: "n", text: "select $1", values: [1] })).toEqual({ rows: [{ id: "1" }] });
  expect(query).toHaveBeenCalledWith(expect.objectContaining({ text: "select $1", values: [1] }));
  expect(query).not.toHaveBeenCalledWith(expect.objectContaining({ name: "n" }));
});

test("a client that knows of its transaction is asked before each statement, without a round trip", async () => {
  let status = "T";
  const query = vi.fn(async () => ({ rows: [] }));
  const queryable = queryableOf({ query, getTransactionStatus: () => status } as never);
  await queryable.query({ text: "insert", values: [] });
  status = "I";
  await expect(queryable.query({ text: "insert", values: [] })).rejects.toThrow(/enqueue before COMMIT or ROLLBACK/);
  expect(query).toHaveBeenCalledTimes(1);
});

test("a Drizzle transaction is known by the pg client below it", async () => {
  const execute = vi.fn(async () => ({ rows: [] }));
  const session = { client: { getTransactionStatus: () => "T" } };
  const tx = { execute, rollback() {}, session };
  await queryableOf(tx as never).query({ text: "insert", values: [] });
  expect(execute).toHaveBeenCalledTimes(1);
  session.client.getTransactionStatus = () => "I";
  expect(() => queryableOf(tx as never)).toThrow(/without an open transaction/);
});
