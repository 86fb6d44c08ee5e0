import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";

/**
 * Its modules take 0.4 to 1.5 s to load, and the event loop stands still meanwhile: see
 * docs/decisions/0028.
 */
test("core loads Drizzle with its tables only", async () => {
  const core = join(import.meta.dirname, "..");
  const loads: string[] = [];
  for (const file of await readdir(core, { recursive: true })) {
    if (!file.endsWith(".ts") || file.endsWith(".test.ts") || file.startsWith("schema/") || file === "views.ts")
      continue;
    const source = await readFile(join(core, file), "utf8");
    if (/^(import|export) (?!type\b).*("drizzle-orm|\/schema\/|\/views\.ts)/m.test(source)) loads.push(file);
  }
  expect(loads).toEqual([]);
});
