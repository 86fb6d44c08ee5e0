import { type Logger as PinoLogger, pino } from "pino";
import { hidden, hiddenFacts, loggableFacts } from "./redact.ts";

/**
 * A pino on stderr, so that stdout stays free for data; LOG_LEVEL sets its level, "info" if not
 * given.
 */
export function createLogger(level: string = process.env.LOG_LEVEL ?? "info"): PinoLogger {
  return pino(
    {
      name: "hark",
      level,
      formatters: { log: (facts) => loggableFacts(facts) },
      serializers: { err: (error: unknown) => error }, // the formatter has read it
      redact: { paths: [...hiddenFacts], censor: hidden }, // what child() binds, which the formatter does not see
    },
    pino.destination({ dest: 2, sync: true }),
  );
}
