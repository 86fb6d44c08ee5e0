import { expect, test } from "vitest";
import { describeTogether } from "./conditions.ts";
import { conditions } from "./testing/conditions.ts";

test("conditions of one bench run are described once, with all its servers and numbers of rounds", () => {
  const [postgres = "", redis = ""] = conditions.stores;
  const text = describeTogether([
    { ...conditions, stores: [postgres] },
    { ...conditions, stores: [postgres, redis], rounds: 1, measuredAt: "2026-11-24T11:00:00.000Z" },
  ]);
  expect(text.split("\n")).toHaveLength(2);
  for (const words of [postgres, redis, "Medians of 3 rounds", "one round", "peer 1.2.3"]) {
    expect(text.toLowerCase()).toContain(words.toLowerCase());
  }
});

test("results from another commit or from a quick run get a line of their own", () => {
  const text = describeTogether([conditions, { ...conditions, commit: "bbbbbbb" }, { ...conditions, isQuick: true }]);
  expect(text.split("\n")).toHaveLength(4);
  expect(text).toContain("A quick run");
});
