import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { WakeUpLimiter } from "./wake-up-limiter.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
afterEach(() => void vi.useRealTimers());

/** How many pauses in a row end at once when every look finds nothing. */
async function freeLooks(limiter: WakeUpLimiter): Promise<number> {
  for (let looks = 0; ; looks += 1) {
    const paused = limiter.pause(AbortSignal.timeout(0)).then(() => "paused");
    const turn = Promise.resolve().then(() => Promise.resolve().then(() => "waits"));
    if ((await Promise.race([paused, turn])) === "waits") return looks;
    limiter.countSpurious();
  }
}

test("after a rest 100 spurious wake-ups are answered at once, and 50 more in each second", async () => {
  const limiter = new WakeUpLimiter();
  expect(await freeLooks(limiter)).toBe(100);
  vi.advanceTimersByTime(1_000);
  expect(await freeLooks(limiter)).toBe(50);
  vi.advanceTimersByTime(3_600_000);
  expect(await freeLooks(limiter)).toBe(100);
});

test("wake-ups that find something are never held up", async () => {
  const limiter = new WakeUpLimiter();
  for (let look = 0; look < 1_000; look += 1) await limiter.pause();
  expect(await freeLooks(limiter)).toBe(100);
});
