import { asId, type RawRow } from "../statements/statement.ts";

/**
 * A row with its names in camelCase, ids as bigints and moments as dates, whatever the pool makes
 * of them.
 */
export function shownRow(row: RawRow): unknown {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [camelCase(name), decode(name, value)]));
}

const camelCase = (name: string) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

function decode(name: string, value: unknown): unknown {
  if (value === null) return null;
  if (name === "id" || name === "job_id") return asId(value);
  return name.endsWith("_at") ? new Date(value as string | Date) : value;
}
