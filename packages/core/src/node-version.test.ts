import { expect, test } from "vitest";
import { isAtLeast, nodeComplaint } from "./node-version.ts";

test("versions compare by number", () => {
  expect(isAtLeast("22.12.0", "22.12.0")).toBe(true);
  expect(isAtLeast("22.9.9", "22.12.0")).toBe(false);
  expect(isAtLeast("100.0.0", "22.12.0")).toBe(true);
  expect(isAtLeast("22.12.0-nightly2026", "22.12.0")).toBe(true);
});

test("the complaint about an old Node names its version and the version that Hark needs", () => {
  expect(nodeComplaint("20.20.2")).toMatch(/Hark needs Node 22\.12\.0 or newer, and this is Node 20\.20\.2/);
  expect(nodeComplaint("24.1.0")).toBeUndefined();
});
