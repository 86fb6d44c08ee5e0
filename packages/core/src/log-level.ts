/** The levels of pino, from the most severe down, with the number of each. */
const levels = { silent: 70, fatal: 60, error: 50, warn: 40, info: 30, debug: 20, trace: 10 } as const;
export type LogLevel = keyof typeof levels;

/** What other loggers call their levels. */
const synonyms: Readonly<Record<string, LogLevel>> = {
  "": "info",
  notice: "info",
  information: "info",
  http: "debug",
  verbose: "debug",
  silly: "trace",
  all: "trace",
  warning: "warn",
  err: "error",
  critical: "fatal",
  crit: "fatal",
  alert: "fatal",
  emerg: "fatal",
  emergency: "fatal",
  panic: "fatal",
  off: "silent",
  none: "silent",
  quiet: "silent",
  disabled: "silent",
};

/**
 * Returns the level that a value of LOG_LEVEL stands for. Other libraries read that variable too,
 * so no value of it may keep Hark from starting: it takes their names, any case and pino's numbers.
 * What it does not know counts as "info", and a process warning tells of it once.
 */
export function logLevelOf(given: string | undefined): LogLevel {
  const name = (given ?? "").trim().toLowerCase();
  if (Object.hasOwn(levels, name)) return name as LogLevel;
  const synonym = Object.hasOwn(synonyms, name) ? synonyms[name] : ofNumber(name);
  if (synonym !== undefined) return synonym;
  warn(name);
  return "info";
}

/** The least severe level that has this number or a higher one. */
function ofNumber(text: string): LogLevel | undefined {
  if (!/^\d{1,9}$/.test(text)) return undefined;
  const wanted = Number(text);
  const names = Object.keys(levels) as LogLevel[];
  return names.findLast((level) => levels[level] >= wanted) ?? "silent";
}

const told = new Set<string>();

function warn(name: string): void {
  if (told.size > 0) return; // a process has one LOG_LEVEL
  told.add(name);
  process.emitWarning(`LOG_LEVEL is ${JSON.stringify(name.slice(0, 40))}, which is no level: "info" is used.`, {
    code: "HARK_LOG_LEVEL",
    detail: `The levels are ${Object.keys(levels).join(", ")}.`,
  });
}
