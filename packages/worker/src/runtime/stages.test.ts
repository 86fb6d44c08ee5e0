import { silentLogger } from "@hark/core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Stage } from "./part.ts";
import { startStages, stopStages } from "./stages.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

const options = { withinMs: 29_000, logger: silentLogger };

test(
  "all parts are told to stop within one deadline, though some hang and some fail",
  { tags: ["FM-73"] },
  async () => {
    const told: string[] = [];
    const hanging = (name: string): Stage => ({
      parts: [{ stop: () => (told.push(name), new Promise(() => {})) }],
    });
    const failing: Stage = {
      parts: [
        { stop: () => (told.push("failing"), Promise.reject(new Error("no"))) },
        {
          stop() {
            throw new Error("no");
          },
        },
      ],
    };
    const stages = [hanging("first"), hanging("second"), failing, { ...hanging("third"), stopWithinMs: 11_000 }];
    const before = performance.now();
    const stopped = stopStages(stages, options);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await stopped).toBe(false);
    expect(told).toEqual(["third", "failing", "second", "first"]);
    expect(before).toBeLessThan(performance.now());
  },
);

test("the deadline counts from when the stop began", { tags: ["FM-73"] }, async () => {
  let hasStopped = false;
  const since = performance.now();
  await vi.advanceTimersByTimeAsync(20_000);
  const stages: Stage[] = [{ parts: [{ stop: () => new Promise(() => {}) }] }];
  void stopStages(stages, { ...options, since }).then(() => (hasStopped = true));
  await vi.advanceTimersByTimeAsync(8_000);
  expect(hasStopped).toBe(false);
  await vi.advanceTimersByTimeAsync(1_001);
  expect(hasStopped).toBe(true);
});

test("a start that fails stops all parts, and throws its own error", async () => {
  const told: string[] = [];
  const stages: Stage[] = [
    { parts: [{ start: () => void told.push("start one"), stop: async () => void told.push("stop one") }] },
    { parts: [{ start: () => Promise.reject(new Error("mine")), stop: async () => void told.push("stop two") }] },
  ];
  await expect(startStages(stages, () => false, options)).rejects.toThrow("mine");
  expect(told).toEqual(["start one", "stop two", "stop one"]);
});
