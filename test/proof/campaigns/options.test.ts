import { expect, test } from "vitest";
import { fileFor, readOptions, replayOf } from "./options.ts";

test("the line that repeats a run holds its options", () => {
  const given = [
    "--seed",
    "7",
    "--minutes",
    "0.5",
    "--no-pooler",
    "--no-disk",
    "--only",
    "cut at commit,kill",
    "--rate",
    "80",
  ];
  const line = replayOf(7, readOptions(given));
  expect(line).toBe(
    'pnpm run proof campaigns --seed 7 --minutes 0.5 --rate 80 --only "cut at commit,kill" --no-pooler --no-disk',
  );
  expect(replayOf(1, readOptions([]))).toBe("pnpm run proof campaigns --seed 1 --minutes 1");
});

test("every campaign has a promotion unless it leaves it out", () => {
  expect(readOptions([]).promotes).toBe(true);
  expect(readOptions(["--only", "kill,promote"]).promotes).toBe(true);
  expect(readOptions(["--only", "kill"]).promotes).toBe(false);
  expect(replayOf(1, readOptions(["--no-promote"]))).toBe("pnpm run proof campaigns --seed 1 --minutes 1 --no-promote");
});

test("several seeds make several campaigns, each with its own files", () => {
  expect(readOptions(["--seed", "1..3"]).seeds).toEqual([1, 2, 3]);
  expect(readOptions(["--seed", "7"]).seeds).toEqual([7]);
  expect(fileFor(2, "reports/page.html")).toBe("reports/page-2.html");
  for (const seed of ["3..1", "1..11", "1..", "..", "1..2..3"])
    expect(() => readOptions(["--seed", seed]), seed).toThrow("--seed must be");
});

test("invalid options are refused with a reason", () => {
  expect(() => readOptions(["--minutes", "0"])).toThrow("--minutes must be from 0.1 to 600, not 0");
  expect(() => readOptions(["--seed", "x"])).toThrow("--seed");
  expect(() => readOptions(["--only", "kill,flood"])).toThrow("--only knows no flood");
  expect(() => readOptions(["--sead", "1"])).toThrow("--sead");
});
