import { type Logger as PinoLogger, pino } from "pino";

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
    { name: "hark", level, serializers: { error: pino.stdSerializers.err } },
    pino.destination({ dest: 2, sync: true }),
  );
}

/** A logger that says nothing. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
};
