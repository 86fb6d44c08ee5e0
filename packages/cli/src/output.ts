import { styleText } from "node:util";
import { escapeControls, jsonText, maskSecrets } from "@hark/core/text";

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
      const isNumber = headings.map((_, column) => rows.every((row) => typeof row[column] === "number"));
      const wanted = headings.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
      // Some terminals report 0 columns.
      const widths = stdout.isTTY && stdout.columns > 0 ? fitted(wanted, isNumber, stdout.columns) : wanted;
      for (const [place, row] of cells.entries()) {
        const text = row
          .map((cell, column) => {
            const width = widths[column]!;
            return isNumber[column] ? cell.padStart(width) : cut(cell, width).padEnd(width);
          })
          .join(gap)
          .trimEnd();
        stdout.write(`${place === 0 ? paint("bold", text) : text}\n`);
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

const gap = "  ";
const mark = "...";

/** Narrowest column of text that is cut, in characters: a few and the mark. */
const leastWidth = 8;

/**
 * Returns the widths with which a row fits into `columns`, if it can: the widest texts are cut
 * first. Numbers are never cut.
 */
export function fitted(wanted: readonly number[], isNumber: readonly boolean[], columns: number): number[] {
  const widths = [...wanted];
  const total = () => widths.reduce((sum, width) => sum + width, 0) + gap.length * (widths.length - 1);
  for (let over = total() - columns; over > 0; over = total() - columns) {
    const widest = Math.max(...widths.filter((_, column) => !isNumber[column]), 0);
    if (widest <= leastWidth) break;
    widths[widths.findLastIndex((width, column) => width === widest && !isNumber[column])]! -= 1;
  }
  return widths;
}

/** The text in at most `width` characters, with a mark at its end if some are missing. */
export function cut(text: string, width: number): string {
  return text.length <= width ? text : text.slice(0, Math.max(width - mark.length, 0)) + mark;
}

export function showsColours(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY && !process.env.NO_COLOR && process.env.TERM !== "dumb";
}

/**
 * Returns `text` as one line without control characters, with secrets masked. Job types,
 * errors and names of other programs are untrusted text (SEC-25).
 */
export function printable(text: string): string {
  return escapeControls(maskSecrets(text).replace(/[\n\t]/g, " "));
}
