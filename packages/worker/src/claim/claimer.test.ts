import { expect, test } from "vitest";
import { wholeQueueEveryMs } from "./claimer.ts";

test("a look at the whole queue takes a hundredth of the time, more once that would come rarer than every 2 s, at most a tenth", () => {
  expect([5, 20, 50, 100, 500, 2_000].map(wholeQueueEveryMs)).toEqual([500, 2_000, 2_000, 2_000, 5_000, 20_000]);
});
