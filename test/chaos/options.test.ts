import { expect, test } from "vitest";
import { readOptions, replayOf } from "./options.ts";

test("the line that repeats a run gives its options again", () => {
  const given = [
    "--seed",
    "7",
    "--minutes",
    "0.5",
    "--promote",
    "--no-pooler",
    "--only",
    "cut at commit,kill",
    "--rate",
    "80",
  ];
  const line = replayOf(readOptions(given));
  expect(line).toBe('pnpm chaos --seed 7 --minutes 0.5 --rate 80 --only "cut at commit,kill" --promote --no-pooler');
  expect(replayOf(readOptions([]))).toBe("pnpm chaos --seed 1 --minutes 1");
});

test("what makes no campaign is refused in words", () => {
  expect(() => readOptions(["--minutes", "0"])).toThrow("--minutes must be from 0.1 to 600, not 0");
  expect(() => readOptions(["--seed", "x"])).toThrow("--seed");
  expect(() => readOptions(["--only", "kill,flood"])).toThrow("--only knows no flood");
  expect(() => readOptions(["--sead", "1"])).toThrow("--sead");
});
