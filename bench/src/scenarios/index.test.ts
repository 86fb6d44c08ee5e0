import { expect, test } from "vitest";
import { scenarios, scenariosNamed } from "./index.ts";

const namesOf = (names: string[]) => scenariosNamed(names).map(({ name }) => name);

test("a group's name stands for its scenarios, but for those that take very long", () => {
  expect(namesOf(["drain"])).toEqual(["drain:1", "drain:2", "drain:stale"]);
  expect(namesOf(["steady"])).toEqual(["steady:8s", "steady:analysed"]);
  expect(namesOf(["steady:5min"])).toEqual(["steady:5min"]);
});

test("without a name all run, but for those that take very long", () => {
  const long = scenarios.filter(({ isLong }) => isLong).map(({ name }) => name);
  expect(namesOf([])).toEqual(scenarios.map(({ name }) => name).filter((name) => !long.includes(name)));
});

test("an unknown scenario is refused by name", () => {
  expect(() => scenariosNamed(["drain", "drian"])).toThrow("There is no scenario drian");
});
