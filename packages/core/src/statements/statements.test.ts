import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { crashBudget } from "../outcome.ts";
import * as statements from "./index.ts";

const { claimReadyJobs, completeJobs, endFrozenListeners, listenerName, openNotifyGate, openWriters } = statements;
const { rescueJobs, settleAndClaimReadyJobs } = statements;

test("a file holds one statement, whole, so that it can be pasted into psql", async () => {
  const files = await readdir(import.meta.dirname, { recursive: true });
  const sources = files.filter((file) => file.endsWith(".ts") && file.includes("/") && !file.endsWith(".test.ts"));
  expect(sources.length).toBeGreaterThan(30);
  for (const file of sources) {
    const source = await readFile(join(import.meta.dirname, file), "utf8");
    const made = source.match(/= statement</g) ?? [];
    expect(made.length, `statements in ${file}`).toBeLessThanOrEqual(1);
    if (made.length === 0) continue;
    const [, text = ""] = /\n {2}`([^]*?)`,\n/.exec(source) ?? [];
    expect(text, file).not.toBe("");
    expect(text, file).not.toContain("${");
  }
});

test("what settles and claims in one commit does both as the two statements do that stand alone", () => {
  const parts = (text: string) =>
    /^with ([^]*?)\n {3}(select [^]*)$/.exec(text)!.slice(1) as [ctes: string, rows: string];
  const [settles] = parts(completeJobs.text.replace(/\$(\d)/g, (_, place) => `$${Number(place) + 7}`));
  const [claims, claimed] = parts(claimReadyJobs.text);
  const [both, rows] = parts(settleAndClaimReadyJobs.text);

  expect(both).toBe(`${settles},\n   ${claims}`);
  expect(rows.startsWith(`${claimed}\n   union all\n   select 'refused'`)).toBe(true);
});

test("opening a notify gate and waiting for its writers list the same transactions", () => {
  const writersIn = (text: string) => /select virtualtransaction [^]*'%\/0'/.exec(text)![0].replace(/\s+/g, " ");
  expect(writersIn(openNotifyGate.text)).toBe(writersIn(openWriters.text));
});

test("the numbers and names in statements are those of the code", () => {
  expect(rescueJobs.text).toContain(`crash_count + 1 >= ${crashBudget} `);
  expect(endFrozenListeners.text).toContain(`application_name = '${listenerName}'`);
});
