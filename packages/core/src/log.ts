import { loggable, loggableFacts, loggableText } from "./redact.ts";

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

const isRedacting = Symbol("redacting");

/**
 * The same logger, but that no line has a payload, a result, a secret or what an error of
 * PostgreSQL's quotes (SEC-25), and that one which throws loses its line and nothing else:
 * `process.emitWarning` tells of the first. Everything of Hark's that is given a logger writes
 * through this, the `log` of handlers too.
 */
export function redactingLogger(logger: Logger): Logger {
  let hasWarned = false;
  return isRedacting in logger ? logger : redacting(logger, warn);

  function warn(error: unknown): void {
    if (hasWarned) return;
    hasWarned = true;
    const { message = "it threw what is no Error" } = loggable(error) as { message?: string };
    process.emitWarning(`The logger given to Hark threw (${message}). Lines are lost while it does; jobs are not.`, {
      code: "HARK_LOGGER_THREW",
    });
  }
}

/** `warn` is called with what the logger throws. */
function redacting(logger: Logger, warn: (error: unknown) => void): Logger {
  function orElse<Answer>(answer: Answer, ask: () => Answer): Answer {
    try {
      return ask();
    } catch (error) {
      warn(error);
      return answer;
    }
  }
  const line =
    (level: "debug" | "info" | "warn" | "error") =>
    (facts: object | string, message?: string): void =>
      orElse(undefined, () => logger[level](factsOf(facts), loggableText(message ?? messageOf(facts))));
  const same: Logger & { [isRedacting]: true } = {
    [isRedacting]: true,
    debug: line("debug"),
    info: line("info"),
    warn: line("warn"),
    error: line("error"),
    child: (facts) => orElse(same, () => redacting(logger.child(loggableFacts(facts)), warn)),
    ...(logger.isLevelEnabled && { isLevelEnabled: (level) => orElse(true, () => logger.isLevelEnabled!(level)) }),
  };
  return same;
}

/** What a line of a handler says, which may have left out the facts, or given an error for them. */
const factsOf = (facts: object | string) =>
  facts instanceof Error ? { error: loggable(facts) } : typeof facts === "string" ? {} : loggableFacts(facts);

const messageOf = (facts: object | string) =>
  typeof facts === "string" ? facts : facts instanceof Error ? facts.message : "";

/** A logger that says nothing. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
  isLevelEnabled: () => false,
};
