import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect } from "vitest";
import { test } from "../../../setup/fixtures.ts";
import { throughSeams } from "../../../support/seams.ts";
import { invariants } from "../checker/check.ts";
import { builds } from "./builds.ts";
import { fileOf } from "./exports.ts";
import { wreckOf } from "./wreck.ts";

test("every seam in the packages changes a statement or an export that exists", async () => {
  const fit = fileURLToPath(new URL("./fit.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [fit], { timeout: 30_000 });
  expect(JSON.parse(stdout)).toEqual([]);
});

test("every seam in the database names tables, triggers and functions that exist", async ({ pool }) => {
  const client = await pool.connect();
  try {
    for (const { name, seams } of builds) {
      const wreck = wreckOf(seams);
      if (wreck === undefined) continue;
      await client.query("begin");
      await expect(client.query(wreck), name).resolves.toBeDefined();
      await client.query("rollback");
    }
  } finally {
    client.release();
  }
});

test("there are at least 28 builds, each with its own name, a seam and an invariant that it must break", () => {
  expect(builds.length).toBeGreaterThanOrEqual(28);
  expect(new Set(builds.map(({ name }) => name)).size).toBe(builds.length);
  const ids = invariants.map(({ id }) => id);
  for (const { name, seams, breaks } of builds) {
    expect(seams.length, name).toBeGreaterThan(0);
    expect(breaks.length, name).toBeGreaterThan(0);
    expect(ids, name).toEqual(expect.arrayContaining(breaks));
  }
});

test("a seam that finds nothing to change is refused", () => {
  const seam = { statement: "claim", sql: (text: string) => text.replaceAll(" skip locked", "") };
  expect(throughSeams("claim", "select for update skip locked", [seam])).toBe("select for update");
  expect(throughSeams("settle", "delete", [seam])).toBe("delete");
  expect(() => throughSeams("claim", "select for update", [seam])).toThrow("the seam does not fit");
  expect(() => fileOf({ package: "core", export: "noSuchExport" })).toThrow("0 files of core export noSuchExport");
});
