import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { staggerMs } from "./stagger.ts";

const workers = Array.from({ length: 50 }, () => randomUUID());
const delaysFor = (salt: string, wanted = 1, peers = workers) =>
  workers.map((me) => staggerMs({ me, peers, salt, wanted }));
const firsts = (delays: readonly number[]) => delays.filter((delay) => delay === 0).length;

test("for each notification as many workers as the jobs need come first, and the others follow in their own order", () => {
  for (let salt = 738_000; salt < 738_200; salt += 1) {
    const delays = delaysFor(`${salt}`);
    expect(firsts(delays)).toBe(1);
    expect(new Set(delays).size).toBe(50);
    expect(Math.max(...delays)).toBeLessThan(25);
    expect(Math.min(...delays.filter((delay) => delay > 0))).toBe(3);
  }
  expect(firsts(delaysFor("738000", 7))).toBe(7);
  expect(firsts(delaysFor("738000", 1_000))).toBe(50);
});

test("each notification has a different first worker, so that no worker does all the work", () => {
  const wins = new Map<string, number>();
  for (let salt = 738_000; salt < 743_000; salt += 1) {
    const first = workers[delaysFor(`${salt}`).indexOf(0)]!;
    wins.set(first, (wins.get(first) ?? 0) + 1);
  }
  expect(wins.size).toBe(50);
  for (const count of wins.values()) expect(count).toBeGreaterThan(50); // of 100 each on average, with a deviation of 10
  for (const count of wins.values()) expect(count).toBeLessThan(150);
});

test("a worker that knows no others comes first, and one that the others do not know keeps its rank", () => {
  const me = randomUUID();
  expect(staggerMs({ me, peers: [], salt: "1", wanted: 1 })).toBe(0);
  expect(staggerMs({ me, peers: [me], salt: "1", wanted: 1 })).toBe(0);
  expect(staggerMs({ me, peers: workers, salt: "1", wanted: 1 })).toBe(
    staggerMs({ me, peers: [...workers, me], salt: "1", wanted: 1 }),
  );
});
