import { styleText } from "node:util";
import { escapeControls, jsonText, maskPasswords } from "@hark/core/text";

/**
 * Data goes to stdout and everything else to stderr. With --json, stdout gets one document and
 * nothing else.
 */
export interface Output {
  readonly isJson: boolean;
  /** Prints a line of data. Prints nothing with --json. */
  line(text: string): void;
  /**
   * Prints rows in columns under their headings. Columns of numbers align right. Prints nothing
   * with --json.
   */
  table(headings: readonly string[], rows: readonly (readonly (string | number)[])[]): void;
  /**
   * Prints the document of --json. Bigints become strings, since ids can exceed the exact range of
   * JSON numbers.
   */
  document(value: unknown): void;
  /** Prints a message for a person, on stderr. */
  note(text: string): void;
  /** Returns `text` in a style, if stdout shows colours. */
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
        const fitting = stdout.isTTY && stdout.columns > 0 ? text.slice(0, stdout.columns) : text; // some terminals report 0
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
 * Returns `text` as one line without control characters, with passwords of URLs masked. Job types,
 * errors and names of other programs are untrusted text (SEC-25).
 */
export function printable(text: string): string {
  return escapeControls(maskPasswords(text).replace(/[\n\t]/g, " "));
}
