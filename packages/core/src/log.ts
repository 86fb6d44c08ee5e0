import { type Logger as PinoLogger, pino } from "pino";

import { hidden, hiddenFacts, loggableFacts } from "./redact.ts";

/** What Hark needs of a logger: a pino, or anything shaped like one. */
export interface Logger {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
  child(facts: object): Logger;
  /** If it can tell: saves making up what would not be written. */
  isLevelEnabled?(level: string): boolean;
}

/** A pino on stderr, so that stdout stays free for data; LOG_LEVEL sets its level, "info" if not given. */
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

const isRedacting = Symbol("redacting");

/**
 * The same logger, but that no line has a payload, a result, a connection string or what an error of PostgreSQL's quotes (SEC-25).
 * Everything of Hark's that is given a logger writes through this, the `log` of handlers too.
 */
export function redactingLogger(logger: Logger): Logger {
  if (isRedacting in logger) return logger;
  const redacting: Logger & { [isRedacting]: true } = {
    [isRedacting]: true,
    debug: (facts, message) => logger.debug(loggableFacts(facts), message),
    info: (facts, message) => logger.info(loggableFacts(facts), message),
    warn: (facts, message) => logger.warn(loggableFacts(facts), message),
    error: (facts, message) => logger.error(loggableFacts(facts), message),
    child: (facts) => redactingLogger(logger.child(loggableFacts(facts))),
    ...(logger.isLevelEnabled && { isLevelEnabled: (level) => logger.isLevelEnabled!(level) }),
  };
  return redacting;
}

/** A logger that says nothing. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
  isLevelEnabled: () => false,
};
