import type { Queryable } from "@hark/core";

/** A changed text for some of Hark's statements, by name. A test uses it to remove a guard. */
export interface TextSeam {
  readonly statement: string | RegExp;
  /**
   * Makes the new text. It relies on words of SQL and names of columns, not on the layout of the
   * statement.
   */
  readonly sql: (text: string) => string;
}

export const isFor = ({ statement }: { readonly statement: string | RegExp }, name: string | undefined): boolean =>
  name !== undefined && (typeof statement === "string" ? statement === name : statement.test(name));

/**
 * Returns the statement's text after all seams that apply to it. Throws if one changes nothing,
 * because such a variant would prove nothing.
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
 * Runs Hark's statements through seams, for variants of Hark that run beside the real one in one
 * process.
 */
export function withSeams(on: Queryable, seams: readonly TextSeam[]): Queryable {
  if (seams.length === 0) return on;
  return {
    query(asked) {
      if (!seams.some((seam) => isFor(seam, asked.name))) return on.query(asked);
      const text = throughSeams(asked.name!, asked.text, seams);
      return on.query({ ...asked, name: `${asked.name} changed`, text }); // so that one session can prepare both texts
    },
  };
}

/**
 * Removes words from a text of SQL, or replaces them. Line breaks in the text and the case of its
 * keywords do not matter.
 */
export function without(words: string, instead = ""): TextSeam["sql"] {
  const escaped = words.trim().replaceAll(/[^\w\s]/g, String.raw`\$&`);
  const pattern = new RegExp(escaped.replaceAll(/\s+/g, String.raw`\s+`), "i");
  return (text) => text.replace(pattern, () => instead);
}

/** A statement without a guard: some of its words are removed or replaced. */
export const lacking = (statement: string, guard: string, instead?: string): TextSeam => ({
  statement,
  sql: without(guard, instead),
});

/**
 * Replaces a function of the schema with a changed text of it, in a database that nothing else
 * uses.
 */
export async function changeFunction(db: Queryable, name: string, sql: TextSeam["sql"]): Promise<void> {
  const { rows } = await db.query({ text: "select pg_get_functiondef($1::regproc) as text", values: [name] });
  const text = throughSeams(name, rows[0]!["text"] as string, [{ statement: name, sql }]);
  await db.query({ text, values: [] });
}
