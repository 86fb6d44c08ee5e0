import { expect, test } from "vitest";
import { scenarios, scenariosNamed } from "./index.ts";

const namesOf = (names: string[]) => scenariosNamed(names).map(({ name }) => name);

test("the name of a group selects its scenarios, except very long ones, and a whole name selects one", () => {
  expect(namesOf(["drain"])).toEqual(["drain:1", "drain:2", "drain:stale"]);
  expect(namesOf(["steady"])).toEqual(["steady:8s", "steady:analysed"]);
  expect(namesOf(["keys:10"])).toEqual(["keys:10"]);
  expect(namesOf(["steady:5min"])).toEqual(["steady:5min"]);
});

test("without a name all scenarios run, except very long ones", () => {
  const long = scenarios.filter(({ isLong }) => isLong).map(({ name }) => name);
  expect(namesOf([])).toEqual(scenarios.map(({ name }) => name).filter((name) => !long.includes(name)));
});

test("an unknown scenario is rejected by name", () => {
  expect(() => scenariosNamed(["drain", "drian"])).toThrow("There is no scenario drian");
});
