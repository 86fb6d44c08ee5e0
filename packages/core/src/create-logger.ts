import { type Logger as PinoLogger, pino } from "pino";
import { logLevelOf } from "./log-level.ts";
import { loggableFact, loggableFacts } from "./redact.ts";

/**
 * A pino on stderr, so that stdout stays free for data; LOG_LEVEL sets its level, "info" if not
 * given or no level. What it is given, and what its children are, is masked as
 * {@link loggableFacts} says.
 */
export function createLogger(level: string = process.env.LOG_LEVEL ?? "info"): PinoLogger {
  const logger = pino(
    {
      name: "hark",
      level: logLevelOf(level),
      formatters: { log: (facts) => loggableFacts(facts) },
      serializers: { err: (error: unknown) => error }, // the formatter has read it
      hooks: {
        logMethod(given, method) {
          const [first] = given as unknown[];
          // pino would take the message from an error by itself, after the hook.
          const error = first instanceof Error ? first : (first as { err?: unknown } | null | undefined)?.err;
          const isAlone = given.length === 1 && error instanceof Error;
          const all: unknown[] = isAlone ? [first, error.message] : given;
          // The facts are read by the formatter; texts and what is written into them are read here.
          const read = all.map((one, place) => (place > 0 || typeof one === "string" ? loggableFact(one) : one));
          method.apply(this, read as typeof given);
        },
      },
    },
    pino.destination({ dest: 2, sync: true }),
  );
  // pino has no formatter for what a child binds. Children inherit these two.
  const inherited = Object.getPrototypeOf(logger) as PinoLogger;
  return Object.assign(logger, {
    child(this: PinoLogger, facts: object, ...options: []) {
      return inherited.child.call(this, loggableFacts(facts), ...options);
    },
    setBindings(this: PinoLogger, facts: object) {
      inherited.setBindings.call(this, loggableFacts(facts));
    },
  });
}
