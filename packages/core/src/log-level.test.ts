import { expect, test, vi } from "vitest";
import { createLogger } from "./create-logger.ts";
import { logLevelOf } from "./log-level.ts";

test.each([
  [undefined, "info"],
  ["", "info"],
  ["warn", "warn"],
  ["WARNING", "warn"],
  [" Error ", "error"],
  ["off", "silent"],
  ["none", "silent"],
  ["verbose", "debug"],
  ["CRITICAL", "fatal"],
  ["30", "info"],
  ["10", "trace"],
  ["0", "trace"],
  ["35", "warn"],
  ["60", "fatal"],
  ["100", "silent"],
])("a LOG_LEVEL of %j is %s", (given, level) => {
  const warned = vi.spyOn(process, "emitWarning");
  expect(logLevelOf(given)).toBe(level);
  expect(warned).not.toHaveBeenCalled();
  warned.mockRestore();
});

test("a LOG_LEVEL that nobody knows is info, and one warning tells of it", () => {
  const warned = vi.spyOn(process, "emitWarning").mockReturnValue();
  for (const level of ["loud", "constructor", "-1", "1e3", "x".repeat(1_000_000)]) {
    expect(logLevelOf(level)).toBe("info");
    expect(createLogger(level).level).toBe("info");
  }
  expect(warned.mock.calls).toEqual([
    ['LOG_LEVEL is "loud", which is no level: "info" is used.', expect.objectContaining({ code: "HARK_LOG_LEVEL" })],
  ]);
  warned.mockRestore();
});
