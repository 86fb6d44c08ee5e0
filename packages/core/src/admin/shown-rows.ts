import { withJsonIds } from "../json-ids.ts";
import { limits } from "../json.ts";
import { asId, type RawRow } from "../statements/statement.ts";

/**
 * A question whose rows come as one JSON text each, read by {@link shownRow}. PostgreSQL writes
 * JSON the same way whatever DateStyle and time zone a session has, and no type parser that an
 * application has set for all of `pg` sees it. Ids need `::text`, since they go beyond 2^53.
 */
export const asJsonRows = (sql: string) => `select row_to_json(shown)::text as shown from (${sql}) shown`;

/** A row of {@link asJsonRows} with its names in camelCase, ids as bigints and moments as dates. */
export function shownRow(row: RawRow): object {
  return shownFields(fieldsOf(row));
}

/** The fields of a row of {@link asJsonRows} as JSON has them. */
const fieldsOf = (row: RawRow) => JSON.parse(row.shown as string) as RawRow;

/** Fields of a JSON object, read as {@link shownRow} reads them. */
export function shownFields(fields: RawRow): object {
  return withJsonIds(
    Object.fromEntries(Object.entries(fields).map(([name, value]) => [camelCase(name), decode(name, value)])),
  );
}

const camelCase = (name: string) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

function decode(name: string, value: unknown): unknown {
  if (value === null) return null;
  if (name === "id" || name === "job_id") return asId(value);
  if (name === "payload" || name === "result") return withoutDepths(value);
  return name.endsWith("_at") ? moment(value as string) : value;
}

/** The farthest moment of a Date, in ms. */
const farthestMs = 8.64e15;

/**
 * A date that always has an ISO text: what was written by hand may be "infinity", or later than a
 * Date can be.
 */
function moment(iso: string): Date {
  const ms = Date.parse(iso);
  return new Date(Number.isNaN(ms) ? (iso.startsWith("-") || iso.endsWith("BC") ? -farthestMs : farthestMs) : ms);
}

/**
 * The same value, with what is nested deeper than a payload may be replaced by a text: rows that
 * were written by hand may have thousands of levels, and JSON.stringify() would overflow the stack.
 */
function withoutDepths(value: unknown): unknown {
  let level = [value];
  for (let depth = 1; level.length > 0; depth += 1) {
    const next: unknown[] = [];
    for (const parent of level) {
      if (typeof parent !== "object" || parent === null) continue;
      for (const [name, child] of Object.entries(parent)) {
        if (typeof child !== "object" || child === null) continue;
        if (depth < limits.depth) next.push(child);
        else Object.defineProperty(parent, name, { value: `[nested deeper than ${limits.depth} levels]` });
      }
    }
    level = next;
  }
  return value;
}
