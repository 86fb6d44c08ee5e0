import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { root } from "../blocks.ts";
import { Types } from "./declarations.ts";
import { errorClasses } from "./errors.ts";
import { routes } from "./http-api.ts";
import { optionTypes } from "./options.ts";
import { pages } from "./pages.ts";
import { sqlFunctions } from "./sql-functions.ts";

describe("a generated page matches its source: `pnpm run docs` writes it", () => {
  test.for(Object.entries(pages))("docs/%s", async ([file, render]) => {
    expect(readFileSync(`${root}docs/${file}`, "utf8")).toBe(await render());
  });
});

describe("everything public has a description", () => {
  test("every option says what it does", () => {
    const types = new Types();
    const silent = optionTypes(types).flatMap((declared) =>
      types
        .allMembers(declared)
        .filter(({ doc }) => doc === "")
        .map(({ name }) => `${declared.name}.${name}`),
    );
    expect(optionTypes(types).length).toBeGreaterThan(15);
    expect(silent).toEqual([]);
  });

  test("every error says when it is thrown, and has its own code", () => {
    const errors = errorClasses();
    expect(errors.length).toBeGreaterThan(25);
    expect(errors.filter(({ doc, code }) => doc === "" || code === "").map(({ name }) => name)).toEqual([]);
  });

  test("every route and every function of the schema says what it does", () => {
    expect(routes().length).toBeGreaterThan(5);
    expect(routes().filter(({ doc }) => doc === "")).toEqual([]);
    expect(sqlFunctions().length).toBeGreaterThan(8);
    expect(sqlFunctions().filter(({ doc, isTrigger }) => doc === "" && !isTrigger)).toEqual([]);
  });
});
