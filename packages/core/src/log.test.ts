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

describe("secrets in what is logged", () => {
  /** What a logger was given, as one text. */
  function recorded(write: (logger: Logger) => void): string {
    const lines: unknown[] = [];
    const to = (...given: unknown[]) => void lines.push(given);
    const ours: Logger = { debug: to, info: to, warn: to, error: to, child: (facts) => (lines.push(facts), ours) };
    write(redactingLogger(ours));
    return JSON.stringify(lines);
  }

  it("are hidden by their name in any case, however deep they stand, also where a child binds them", () => {
    const facts = {
      Password: "s3cret",
      deep: { headers: { "X-Api-Key": "s3cret", Cookie: ["s3cret"] }, list: [{ DB_PASSWORD: "s3cret" }] },
      rawHeaders: ["Authorization", "s3cret", "Host", "x"],
      clientSecret: { value: "s3cret" },
      PAYLOAD: { card: "s3cret" },
      bytes: Buffer.from("s3cret"),
      jobId: 7n.toString(),
    };
    const said = recorded((logger) => {
      logger.info(facts, "a line");
      logger.child({ ...facts, nested: facts }).warn({}, "another");
    });
    expect(said).not.toMatch(/s3cret|115,51,99/);
    expect(said).toContain('"jobId":"7"');
    expect(said).toContain('"Host","x"');
  });

  it("are masked in texts, in messages and in errors with their causes", () => {
    const cause = new Error("no answer: password=s3cret host=db");
    const error = Object.assign(new Error("cannot reach postgres://app:a/s3cret@db/app", { cause }), {
      code: "token=s3cret",
    });
    error.name = "Authorization: Bearer s3cret";
    const said = recorded((logger) => {
      logger.error({ error, url: new URL("https://x.example/?token=s3cret") }, "sent Bearer s3cret1");
      logger.error(error, undefined as never);
      (logger as unknown as { info(text: string): void }).info("token=s3cret");
      logger.info({ text: `${"x".repeat(480)} postgres://app:${"y".repeat(30)}s3cret@db/app` }, "cut");
    });
    expect(said).not.toMatch(/s3cret|yyyy/);
    expect(said).toContain("postgres://app:***@db/app");
  });
});
