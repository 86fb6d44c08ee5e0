import { type Database, silentLogger } from "@hark/core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Unpark } from "./unpark.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

type Row = { unparked: number; waiting: number; queue: string | null; key: string | null };
const end: Row = { unparked: 0, waiting: 0, queue: null, key: null };

/**
 * A started loop, when it looked, in ms, and from which key on. `answer` gets 1 at the first look.
 */
async function startUnpark(answer: (look: number) => Row | undefined, tookMs = 10) {
  const beganAt = performance.now();
  const looks: [atMs: number, key: string][] = [];
  const query = async ({ values }: { values: unknown[] }) => {
    looks.push([performance.now() - beganAt, values[1] as string]);
    const row = answer(looks.length) ?? end;
    await new Promise((resolve) => setTimeout(resolve, tookMs));
    return { rows: [row] };
  };
  let hear: (payload: string | undefined) => void = () => {};
  const notifications = { on: (_: string, heard: typeof hear) => ((hear = heard), () => {}) };
  const db = { query } as unknown as Database;
  const unpark = new Unpark({ db, notifications, queues: ["q"], logger: silentLogger });
  unpark.start();
  await vi.advanceTimersByTimeAsync(20);
  const stop = () => Promise.all([unpark.stop(), vi.advanceTimersByTimeAsync(1)]);
  /** How many looks there are in the next `ms`. */
  const looksIn = async (ms: number) => {
    const before = looks.length;
    await vi.advanceTimersByTimeAsync(ms);
    return looks.length - before;
  };
  return { looks, looksIn, hear: (payload: string | undefined) => hear(payload), stop };
}

test("it looks once a minute while nothing is found, and a second after it hears that a key waits", async () => {
  const { looks, looksIn, hear, stop } = await startUnpark(() => end);
  expect(looks).toHaveLength(1);
  expect(await looksIn(40_000)).toBe(0);
  hear("other"); // workers of that queue look
  expect(await looksIn(2_000)).toBe(0);
  hear("q");
  expect(await looksIn(800)).toBe(0);
  expect(await looksIn(400)).toBe(1);
  expect(await looksIn(40_000)).toBe(0);
  hear(undefined); // it may have missed some
  expect(await looksIn(1_200)).toBe(1);
  await stop();
});

test("while keys wait it looks again and again, less and less often, until none does", async () => {
  let isLocked = true;
  const { looks, looksIn, hear, stop } = await startUnpark((look) => ({
    ...end,
    waiting: look > 1 && isLocked ? 1 : 0,
  }));
  hear("q");
  await vi.advanceTimersByTimeAsync(30_000);
  const times = looks.map(([atMs]) => atMs);
  const rests = times.slice(1).map((atMs, place) => atMs - times[place]!);
  expect(rests.length).toBeGreaterThanOrEqual(7);
  for (const [place, usualMs] of [1_000, 2_000, 4_000, 5_000, 5_000].entries()) {
    expect(rests[place], `rest ${place}`).toBeGreaterThan(usualMs * 0.85);
    expect(rests[place], `rest ${place}`).toBeLessThan(usualMs * 1.15 + 30);
  }
  isLocked = false;
  expect(await looksIn(6_000)).toBe(1);
  expect(await looksIn(40_000)).toBe(0);
  await stop();
});

test("it walks over many keys in steps, which take a hundredth of its time, or a tenth while keys wait", async () => {
  const { looks, looksIn, hear, stop } = await startUnpark((look) =>
    look % 4 === 0 ? end : { ...end, queue: "q", key: `k${look % 4}` },
  );
  await vi.advanceTimersByTimeAsync(4_000);
  expect(looks.map(([, key]) => key)).toEqual(["", "k1", "k2", "k3"]);
  expect(looks[3]![0] - looks[2]![0]).toBeGreaterThan(900);
  hear("q");
  expect(await looksIn(2_000)).toBe(4);
  expect(looks[7]![0] - looks[6]![0]).toBeLessThan(200);
  await stop();
});

test("however many notifications come, one lap follows the other after a rest", async () => {
  const { looksIn, hear, stop } = await startUnpark(() => end);
  let looks = 0;
  for (let ms = 0; ms < 60_000; ms += 10) {
    hear("q");
    looks += await looksIn(10);
  }
  expect(looks).toBeGreaterThanOrEqual(10);
  expect(looks).toBeLessThanOrEqual(16);
  await stop();
});

test("a key that is heard of during a lap is looked for in another", async () => {
  const { looksIn, hear, stop } = await startUnpark(() => end, 1_000);
  hear("q"); // during the first look
  expect(await looksIn(3_500)).toBe(1);
  expect(await looksIn(40_000)).toBe(0);
  await stop();
});
