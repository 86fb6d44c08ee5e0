import { setImmediate as allWarned } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { type Logger, redactingLogger } from "./log.ts";

/** A logger that throws an error of this message, whatever it is asked. */
function throwing(message: string): Logger {
  const fail = (): never => {
    throw new Error(message);
  };
  return { debug: fail, info: fail, warn: fail, error: fail, child: fail, isLevelEnabled: fail };
}

describe("a logger that throws", () => {
  it("loses its lines, and not the part of Hark that writes them", () => {
    const logger = redactingLogger(throwing("disk full"));
    for (const level of ["debug", "info", "warn", "error"] as const)
      expect(logger[level]({ job: 1 }, "a line")).toBeUndefined();
    expect(logger.isLevelEnabled?.("debug")).toBe(true);
    expect(logger.child({ worker: 1 }).error({}, "a line of its child's")).toBeUndefined();
  });

  it("is told of once, however many lines it and its children lose", async () => {
    const warnings: (Error & { code?: string })[] = [];
    const listener = (warning: Error) => void warnings.push(warning);
    process.on("warning", listener);
    const ours = throwing("quota reached");
    const logger = redactingLogger({ ...ours, child: () => ours });
    logger.error({}, "the first");
    logger.error({}, "the second");
    logger.child({ worker: 1 }).error({}, "the third");
    await allWarned(); // Node tells of warnings in the next ticks
    process.off("warning", listener);
    expect(warnings.filter(({ message }) => message.includes("(quota reached)"))).toMatchObject([
      { code: "HARK_LOGGER_THREW" },
    ]);
  });

  it("loses a line whose facts throw when they are read, and writes the next", () => {
    const lines: string[] = [];
    const write = (_facts: object, message: string) => void lines.push(message);
    const logger = redactingLogger({ ...throwing("not asked"), info: write });
    const unreadable = Object.defineProperty({}, "job", {
      enumerable: true,
      get: () => {
        throw new Error("gone");
      },
    });
    logger.info(unreadable, "the lost one");
    logger.info({}, "the next one");
    expect(lines).toEqual(["the next one"]);
  });
});
