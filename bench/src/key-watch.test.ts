import { expect, test } from "vitest";
import { KeyWatch } from "./key-watch.ts";

test("two jobs of one key at the same time are an overlap, one after the other and other keys are not", () => {
  const keys = new KeyWatch();
  keys.begin("a");
  keys.begin("b");
  keys.end("a");
  keys.begin("a");
  expect(keys.overlaps).toBe(0);
  keys.begin("a");
  keys.end("a");
  keys.begin("a");
  expect(keys.overlaps).toBe(2);
});
