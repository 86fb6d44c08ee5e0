import { silentLogger } from "@hark/core";
import { expect, test } from "vitest";
import { RefusedRows } from "./refused-rows.ts";

test(
  "a row that is refused repeatedly is left alone for longer each time, at most ten minutes",
  { tags: ["FM-16"] },
  () => {
    const refused = new RefusedRows(silentLogger);
    let now = 0;
    const triedAt: number[] = [];
    while (now < 3_600_000) {
      triedAt.push(now);
      now += refused.add(1n, now);
      expect(refused.ids(now - 1)).toEqual([1n]);
      expect(refused.ids(now)).toEqual([]);
    }
    const rests = triedAt.slice(1).map((at, place) => (at - triedAt[place]!) / 1_000);
    expect(rests.slice(0, 8)).toEqual([10, 20, 40, 80, 160, 320, 600, 600]);
    expect(rests.length).toBeLessThan(12); // tries in an hour
  },
);

test("a row that is not refused again is forgotten, and starts over if it comes back", () => {
  const refused = new RefusedRows(silentLogger);
  refused.add(1n, 0);
  refused.add(1n, 10_000);
  expect(refused.ids(10_000_000)).toEqual([]);
  expect(refused.add(1n, 10_000_000)).toBe(10_000);
});
