// @module-tag SEC-04
import { expect } from "vitest";
import { test } from "../support/logins.ts";

/* SEC-04: no function builds SQL from its arguments or from data in a table. */

test("only the upkeep of partitions builds statements, from names that it quotes", async ({ logIn, pool }) => {
  await logIn("hark_producer");
  const { rows } = await pool.query<{ name: string; source: string }>(
    "select proname as name, prosrc as source from pg_proc where pronamespace = 'hark'::regnamespace",
  );
  expect(rows.map(({ name }) => name)).toContain("receive_jobs");
  const made = rows.flatMap(({ name, source }) =>
    [...source.matchAll(/\bEXECUTE\b.*/gi)].map(([line]) => ({ name, line })),
  );
  expect(made.length).toBeGreaterThan(0);
  for (const { name, line } of made) {
    expect(["create_partitions", "drop_partitions"], `${name}: ${line}`).toContain(name);
    expect(line, name).toMatch(/^EXECUTE format\('[^']*%I/);
  }
});
