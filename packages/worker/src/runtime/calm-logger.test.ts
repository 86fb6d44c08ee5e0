import { silentLogger } from "@hark/core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { calmLogger } from "./calm-logger.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function recording() {
  const lines: Record<string, unknown>[] = [];
  const write = (facts: object, message: string) => void lines.push({ ...facts, message });
  return { lines, log: calmLogger({ ...silentLogger, info: write, warn: write, error: write }) };
}

const away = (port = 5432) => new Error(`connect ECONNREFUSED 127.0.0.1:${port}`);

test(
  "an outage is logged once for each kind of line, and repeated lines are counted",
  { tags: ["FM-09"] },
  async () => {
    const { lines, log } = recording();
    for (let second = 0; second < 20; second += 1) {
      for (let loop = 0; loop < 10; loop += 1)
        log.error({ loop: `loop ${loop}`, error: away(second), failures: second }, "step failed, will try again");
      log.warn({ error: away().message }, "the lease could not be renewed");
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(lines).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(lines.slice(2)).toMatchObject([{ repeated: 199 }, { repeated: 19 }]);

    log.error({ loop: "loop 1", error: away() }, "step failed, will try again"); // the next outage
    expect(lines).toHaveLength(5);
  },
);

test("lines with other reasons, about other jobs or without an error are all written", () => {
  const { lines, log } = recording();
  for (let place = 0; place < 5; place += 1) {
    log.error({ jobId: BigInt(place), error: away() }, "refused");
    log.error({ error: new TypeError("x".repeat(place)) }, "step failed, will try again");
    log.warn({ place }, "a warning");
    log.info({ error: away() }, "told");
  }
  expect(lines).toHaveLength(20);
});
