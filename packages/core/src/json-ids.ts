/**
 * The prototype of answers that hold ids. JSON has no bigints, so `JSON.stringify(answer)` would
 * throw after the job was written: with it, ids are text there, as over HTTP. It is no part of the
 * answer otherwise: not of its keys, nor of what console.log() shows.
 */
export const spellsIds: object = Object.defineProperty({}, "toJSON", { value: spelled });

function spelled(this: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(this).map(([name, value]) => [name, typeof value === "bigint" ? String(value) : value]),
  );
}

/** The same fields as an answer whose ids JSON can hold: see {@link spellsIds}. */
export function withJsonIds<Fields extends object>(fields: Fields): Fields {
  return Object.assign<object, Fields>(Object.create(spellsIds) as object, fields);
}
