import { expect, test } from "vitest";
import { readOptions, replayOf } from "./options.ts";

test("the line that repeats a run reads as the options of that run", () => {
  const options = readOptions(["--seed", "7", "--jobs", "3000", "--keys", "40", "--workers", "2", "--lease", "2000"]);
  expect(options).toMatchObject({ seed: 7, jobs: 3_000, keys: 40, workers: 2, leaseMs: 2_000 });
  expect(readOptions(replayOf(options).split(" ").slice(4))).toEqual(options);
});

test("an option that is unknown or out of range is refused by name", () => {
  expect(() => readOptions(["--jobs", "many"])).toThrow("--jobs must be a whole number from 100");
  expect(() => readOptions(["--key", "1"])).toThrow("--key");
});
