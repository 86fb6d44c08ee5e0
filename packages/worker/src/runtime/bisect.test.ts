import { expect, test } from "vitest";
import { bisect } from "./bisect.ts";

const refusal = () => Object.assign(new Error("violates check constraint"), { severity: "ERROR", code: "23514" });

function table({ bad }: { bad: (row: number) => boolean }) {
  const moved: number[] = [];
  const alone: number[] = [];
  let statements = 0;
  const move = async (rows: readonly number[]) => {
    statements += 1;
    if (rows.some(bad)) throw refusal();
    moved.push(...rows);
  };
  return { moved, alone, count: () => statements, moves: { move, alone: (row: number) => void alone.push(row) } };
}

const thousand = Array.from({ length: 1_000 }, (_, row) => row);

test("rows that are all accepted take one statement", async () => {
  const { moved, alone, moves, count } = table({ bad: () => false });
  await bisect(thousand, moves);
  expect([moved.length, alone, count()]).toEqual([1_000, [], 1]);
});

test(
  "among a thousand rows, one bad row costs 20 more statements and ten cost at most 200, and all others move in order",
  { tags: ["FM-16"] },
  async () => {
    for (const [each, most] of [
      [1_000, 21],
      [100, 201],
    ] as const) {
      const { moved, alone, moves, count } = table({ bad: (row) => row % each === 77 });
      await bisect(thousand, moves);
      expect(alone).toEqual(thousand.filter((row) => row % each === 77));
      expect(moved).toEqual(thousand.filter((row) => row % each !== 77));
      expect(count()).toBeLessThanOrEqual(most);
    }
  },
);

test("an error that no row causes is thrown after one statement", async () => {
  for (const trouble of [
    new Error("Connection terminated unexpectedly"),
    Object.assign(new Error("connect"), { code: "ECONNRESET" }),
    Object.assign(new Error("write EPIPE"), { code: "EPIPE" }),
    Object.assign(new Error("no space"), { severity: "ERROR", code: "53100" }),
    Object.assign(new Error("deadlock"), { severity: "ERROR", code: "40P01" }),
  ]) {
    let statements = 0;
    const move = async () => {
      statements += 1;
      throw trouble;
    };
    await expect(bisect(thousand, { move, alone: () => expect.unreachable() })).rejects.toBe(trouble);
    expect(statements).toBe(1);
  }
});

test("after a stop no further statement is sent", async () => {
  const stop = new AbortController();
  let statements = 0;
  const move = async () => {
    statements += 1;
    stop.abort();
    throw refusal();
  };
  await bisect(thousand, { move, alone: () => expect.unreachable(), signal: stop.signal });
  expect(statements).toBe(1);
});
