import { styleText } from "node:util";
import { escapeControls, jsonText, maskPasswords } from "@hark/core/text";

/** Data goes to stdout and everything else to stderr. With --json, stdout gets one document and nothing besides. */
export interface Output {
  readonly isJson: boolean;
  /** A line of data; not with --json. */
  line(text: string): void;
  /** Rows in columns under their headings; not with --json. Columns of numbers stand to the right. */
  table(headings: readonly string[], rows: readonly (readonly (string | number)[])[]): void;
  /** The document of --json; bigints become strings, since ids go beyond what a JSON reader's numbers hold. */
  document(value: unknown): void;
  /** Something for a person, on stderr. */
  note(text: string): void;
  /** `text` in a style, where stdout shows colours. */
  paint(style: Style, text: string): string;
}

export type Style = "bold" | "dim" | "red" | "green" | "yellow";

export function createOutput({ isJson }: { isJson: boolean }): Output {
  const { stdout, stderr } = process;
  const paint = (style: Style, text: string) =>
    showsColours(stdout) ? styleText(style, text, { validateStream: false }) : text;
  return {
    isJson,
    paint,
    line(text) {
      if (!isJson) stdout.write(`${text}\n`);
    },
    table(headings, rows) {
      if (isJson) return;
      const cells = [headings, ...rows].map((row) => row.map((cell) => printable(String(cell))));
      const widths = headings.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
      const isNumber = headings.map((_, column) => rows.every((row) => typeof row[column] === "number"));
      for (const [place, row] of cells.entries()) {
        const text = row
          .map((cell, column) => (isNumber[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
          .join("  ")
          .trimEnd();
        const fitting = stdout.isTTY && stdout.columns > 0 ? text.slice(0, stdout.columns) : text; // some terminals say 0
        stdout.write(`${place === 0 ? paint("bold", fitting) : fitting}\n`);
      }
    },
    document(value) {
      if (!isJson) return;
      stdout.write(`${jsonText(value, stdout.isTTY ? 2 : undefined)}\n`);
    },
    note(text) {
      stderr.write(`${printable(text)}\n`);
    },
  };
}

export function showsColours(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY && !process.env.NO_COLOR && process.env.TERM !== "dumb";
}

/**
 * One line that no terminal acts on, with passwords of URLs masked: job types, errors and other
 * programs' names are text from strangers (SEC-25).
 */
export function printable(text: string): string {
  return escapeControls(maskPasswords(text).replace(/[\n\t]/g, " "));
}
