import type { Queryable } from "@hark/core";

/**
 * Another text for some of Hark's statements, by name: what a test puts there to have one guard
 * less.
 */
export interface TextSeam {
  readonly statement: string | RegExp;
  /**
   * Makes the new text. It relies on words of SQL and names of columns, not on how the statement is
   * written.
   */
  readonly sql: (text: string) => string;
}

export const isFor = ({ statement }: { readonly statement: string | RegExp }, name: string | undefined): boolean =>
  name !== undefined && (typeof statement === "string" ? statement === name : statement.test(name));

/**
 * Returns the statement's text with every seam that is for it. Throws if one changes nothing: such
 * a twin would prove nothing.
 */
export function throughSeams(name: string, text: string, seams: readonly TextSeam[]): string {
  return seams
    .filter((seam) => isFor(seam, name))
    .reduce((former, { sql }) => {
      const changed = sql(former);
      if (changed === former) throw new Error(`the seam does not fit: it changes nothing in ${name}: ${text}`);
      return changed;
    }, text);
}

/**
 * Runs Hark's statements through seams: for twins of the product that stand beside it in one
 * process.
 */
export function withSeams(on: Queryable, seams: readonly TextSeam[]): Queryable {
  if (seams.length === 0) return on;
  return {
    query(asked) {
      if (!seams.some((seam) => isFor(seam, asked.name))) return on.query(asked);
      const text = throughSeams(asked.name!, asked.text, seams);
      return on.query({ ...asked, name: `${asked.name} changed`, text }); // a session prepares both under their own names
    },
  };
}

/**
 * Makes a text of SQL without some words, or with others in their place. Where the text breaks its
 * lines, and how it writes its keywords, does not matter.
 */
export function without(words: string, instead = ""): TextSeam["sql"] {
  const escaped = words.trim().replaceAll(/[^\w\s]/g, String.raw`\$&`);
  const pattern = new RegExp(escaped.replaceAll(/\s+/g, String.raw`\s+`), "i");
  return (text) => text.replace(pattern, () => instead);
}

/** A statement that lacks a guard: some words of it, perhaps with others in their place. */
export const lacking = (statement: string, guard: string, instead?: string): TextSeam => ({
  statement,
  sql: without(guard, instead),
});

/**
 * Makes a function of the schema anew from another text of it, in a database that nothing else
 * relies on.
 */
export async function changeFunction(db: Queryable, name: string, sql: TextSeam["sql"]): Promise<void> {
  const { rows } = await db.query({ text: "select pg_get_functiondef($1::regproc) as text", values: [name] });
  const text = throughSeams(name, rows[0]!["text"] as string, [{ statement: name, sql }]);
  await db.query({ text, values: [] });
}
