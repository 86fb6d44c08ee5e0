import { expect, test, vi } from "vitest";
import { queryableOf } from "./transaction.ts";

const pool = { query() {}, connect() {}, totalCount: 0, idleCount: 0 };
const idleClient = { query() {}, getTransactionStatus: () => "I" };
const drizzleDatabase = { execute() {}, transaction() {} };

test.each([
  ["a pool", pool, /but got a pool.*client of pool.connect\(\) after BEGIN/],
  ["a client without BEGIN", idleClient, /without an open transaction.*query\("begin"\)/],
  ["a Drizzle database", drizzleDatabase, /Drizzle database.*db\.transaction/],
  ["nothing", undefined, /but got undefined/],
  ["something else", {}, /without query\(\) or execute\(\)/],
])("%s is no transaction, and the error says what to pass", (_, given, message) => {
  expect(() => queryableOf(given as never)).toThrow(message);
});

test("a pg client in a transaction runs statements without a name, since it may lead through a pooler", async () => {
  const query = vi.fn(async () => ({ rows: [{ id: "1" }] }));
  const queryable = queryableOf({ query, getTransactionStatus: () => "T" } as never);
  expect(await queryable.query({ name: "n", text: "select $1", values: [1] })).toEqual({ rows: [{ id: "1" }] });
  expect(query).toHaveBeenCalledWith({ text: "select $1", values: [1] });
});
