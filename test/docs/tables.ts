import { proseOf } from "./blocks.ts";

/** The cells of a document's tables, row by row, without the separator lines. */
export function rowsOf(document: string): string[][] {
  return proseOf(document)
    .split("\n")
    .filter((line) => line.startsWith("|") && !/^\|[-: |]+\|$/.test(line))
    .map((line) =>
      line
        .slice(1, line.lastIndexOf("|"))
        .split("|")
        .map((cell) => cell.trim()),
    );
}
