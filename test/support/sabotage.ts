import type { Queryable } from "@hark/core";

/** A guard to leave out of one statement of the product, by the statement's name. */
export interface Cut {
  readonly statement: string;
  readonly guard: string;
  /** What stands in its place; nothing if not given. */
  readonly instead?: string;
}

/** Runs the product's statements without the guards: twins that a test must tell from the product. */
export function sabotaged(on: Queryable, cuts: readonly Cut[]): Queryable {
  if (cuts.length === 0) return on;
  return {
    query(asked) {
      const own = cuts.filter(({ statement }) => statement === asked.name);
      if (own.length === 0) return on.query(asked);
      const text = own.reduce((whole, { guard, instead = "" }) => without(whole, guard, instead), asked.text);
      return on.query({ ...asked, name: `${asked.name} without`, text });
    },
  };
}

/** Takes a guard out of a function of the schema, in a database that nobody else relies on. */
export async function sabotageFunction(db: Queryable, name: string, guard: string, instead = ""): Promise<void> {
  const { rows } = await db.query({ text: "select pg_get_functiondef($1::regproc) as text", values: [name] });
  await db.query({ text: without(rows[0]!.text as string, guard, instead), values: [] });
}

/** Throws if the guard is not there: a twin that is like the product would prove nothing. */
function without(text: string, guard: string, instead: string): string {
  if (!text.includes(guard)) throw new Error(`Nothing to leave out: "${guard}" does not stand in: ${text}`);
  return text.replace(guard, () => instead);
}
