import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { crashBudget } from "../outcome.ts";
import * as statements from "./index.ts";

const { claimReadyJobs, completeJobs, endFrozenListeners, listenerName, openNotifyGate, openWriters } = statements;
const { claimContendedJobs, claimHinderedJobs, completeAndClaimNextRows, rescueJobs, settleAndClaimReadyJobs } =
  statements;
const { claimContendedJobsByType, claimPlainJobs, claimPlainJobsByType } = statements;

/** The parts of a statement that begins with `with`, by name, and the rows that it returns. */
function partsOf({ text }: { text: string }) {
  const [, ctes = "", rows = ""] = /^with ([^]*?)\n {3}(select [^]*)$/.exec(text)!;
  const named = ctes.split(/,\n {3}(?=\w+ as )/).map((cte) => [/^\w+/.exec(cte)![0], cte] as const);
  return { ctes, rows, ...Object.fromEntries(named) } as Record<string, string>;
}

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
  const settles = partsOf({ text: completeJobs.text.replace(/\$(\d)/g, (_, place) => `$${Number(place) + 7}`) });
  const claims = partsOf(claimReadyJobs);
  const both = partsOf(settleAndClaimReadyJobs);

  expect(both["ctes"]).toBe(`${settles["ctes"]},\n   ${claims["ctes"]}`);
  expect(both["rows"]!.startsWith(`${claims["rows"]}\n   union all\n   select 'refused'`)).toBe(true);
});

test("what settles and claims the next of a key settles as the statement does that only settles", () => {
  const settles = partsOf(completeJobs);
  const both = partsOf(completeAndClaimNextRows);

  expect(both["ctes"]!.replace("token, hands_off,", "token,").startsWith(`${settles["ctes"]},\n   alive as `)).toBe(
    true,
  );
  expect(both["alive"]!.replace("$4", "$3")).toBe(partsOf(claimReadyJobs)["alive"]);
});

test("claims that meet others choose, hand off and report as the usual claim does", () => {
  const claims = partsOf(claimReadyJobs);
  const contended = partsOf(claimContendedJobs);
  const chosen = (next = "") => next.slice(next.indexOf("from hark.jobs"));
  const handsOff = (text = "") => /\(\s+select true from hark\.jobs parked[^]*?is not null/.exec(text)![0];

  expect(contended["alive"]).toBe(claims["alive"]);
  expect(chosen(contended["next"])).toBe(chosen(claims["next"]));
  expect(handsOff(contended["keyed"]).replaceAll("next.", "gone.")).toBe(handsOff(claims["moved"]));
  expect(contended["blocked"]).toBe(claims["blocked"]!.replaceAll("first_of_key", "keyed"));
});

test("claims that others stand in the way of move what they found as claims do that meet others", () => {
  const contended = partsOf(claimContendedJobs);
  const hindered = partsOf(claimHinderedJobs);

  for (const part of ["alive", "unkeyed", "gone"]) expect(hindered[part], part).toBe(contended[part]);
  expect(hindered["keyed"]).toBe(contended["keyed"]!.replace(/\(\s+select true[^]*?is not null/, "true"));
  expect(hindered["rows"]!.startsWith(`${contended["rows"]}\n   union all\n   select 'more'`)).toBe(true);
});

test.for([
  ["claim", claimContendedJobs, claimContendedJobsByType],
  ["claim of plain jobs", claimPlainJobs, claimPlainJobsByType],
] as const)("a %s by types does with the jobs that it finds what the other does", ([, byQueue, byType]) => {
  const [other, own] = [partsOf(byQueue), partsOf(byType)];
  const { heads, second, next, ctes, ...rest } = own;
  const condition =
    /and \(key is null or \([^]*?limit 1\) is null\)/.exec(other["next"]!)?.[0].replace(/\s+/g, " ") ?? "";

  for (const part of Object.keys(rest)) expect(own[part], part).toBe(other[part]);
  expect([heads, next].map((scan) => scan!.replace(/\s+/g, " ").includes(condition))).toEqual([true, true]);
  expect(second).toContain("offset 1 limit 1");
  expect(ctes).not.toBe("");
});

test("opening a notify gate and waiting for its writers list the same transactions", () => {
  const writersIn = (text: string) => /select virtualtransaction [^]*'%\/0'/.exec(text)![0].replace(/\s+/g, " ");
  expect(writersIn(openNotifyGate.text)).toBe(writersIn(openWriters.text));
});

test("the numbers and names in statements are those of the code", () => {
  expect(rescueJobs.text).toContain(`crash_count + 1 >= ${crashBudget})`);
  expect(endFrozenListeners.text).toContain(`application_name = '${listenerName}'`);
});
