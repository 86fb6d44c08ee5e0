import { styleText } from "node:util";
import { createLogger, type Logger } from "@hark/core";
import { errorText, logLevelOf } from "@hark/core/internal";
import { firstLine, jsonText } from "@hark/core/text";
import { printable, showsColours } from "./output.ts";

const levels = ["debug", "info", "warn", "error"] as const;
type Level = (typeof levels)[number];

/**
 * Returns a logger that writes to stderr: plain lines on a terminal, and JSON lines for log
 * collectors otherwise.
 */
export function commandLogger(): Logger {
  const level = logLevelOf(process.env.LOG_LEVEL);
  if (!process.stderr.isTTY) return createLogger(level);
  const place = (levels as readonly string[]).indexOf(level);
  return terminalLogger(
    place === -1 ? (level === "trace" ? 0 : level === "silent" || level === "fatal" ? 4 : 1) : place,
    {},
  );
}

function terminalLogger(least: number, context: object): Logger {
  const say = (level: Level) => (facts: object, message: string) => {
    if (levels.indexOf(level) < least) return;
    const told = Object.entries({ ...context, ...facts }).map(([name, value]) => `${name}=${spelled(value)}`);
    const text = printable([message, ...told].join(" "));
    const time = new Date().toTimeString().slice(0, 8);
    process.stderr.write(`${time} ${painted(level)} ${text}\n`);
  };
  return {
    debug: say("debug"),
    info: say("info"),
    warn: say("warn"),
    error: say("error"),
    child: (facts) => terminalLogger(least, { ...context, ...facts }),
  };
}

function painted(level: Level): string {
  const word = level.padEnd(5);
  if (!showsColours(process.stderr)) return word;
  const style = { debug: "dim", info: "green", warn: "yellow", error: "red" } as const;
  return styleText(style[level], word, { validateStream: false });
}

function spelled(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(firstLine(errorText(value)));
  if (typeof value === "string") return /^[\w.:@/-]+$/.test(value) ? value : JSON.stringify(value);
  return jsonText(value) ?? String(value);
}
