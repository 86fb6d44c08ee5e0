import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { invariants } from "../checker/check.ts";
import { builds } from "./builds.ts";
import { edited, root } from "./workspace.ts";

test.for(builds.map((build) => [build.name, build] as const))("%s still fits the source", ([, { edits, breaks }]) => {
  const files = new Map<string, string>();
  for (const edit of edits) {
    const text = files.get(edit.file) ?? readFileSync(join(root, edit.file), "utf8");
    files.set(edit.file, edited(text, edit));
  }
  const ids = invariants.map(({ id }) => id);
  for (const id of breaks) expect(ids).toContain(id);
});

test("there are twenty of them at least, each under a name of its own", () => {
  expect(builds.length).toBeGreaterThanOrEqual(20);
  expect(new Set(builds.map(({ name }) => name)).size).toBe(builds.length);
});

test("an edit whose place is gone, or stands there twice, is refused", () => {
  const edit = { file: "a.ts", from: "one", to: "two" };
  expect(edited("one", edit)).toBe("two");
  expect(() => edited("none", { ...edit, from: "one more" })).toThrow("0 times");
  expect(() => edited("one one", edit)).toThrow("2 times");
});
