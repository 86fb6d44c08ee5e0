import type { Queryable } from "@hark/core";

/**
 * A clock that the scenarios move. Sessions with this search path find it before PostgreSQL's own.
 * A sequence holds how far it is ahead. A sequence is neither locked nor part of a transaction, so
 * time passes for all sessions at once. Moving a lease's end into the past instead would wait for
 * the lock on its row, and the races at that moment would never occur. Functions of the schema pin
 * their search path, and keep the true clock.
 */
export const searchPath = "ahead,pg_catalog";

/** Creates the clock in a database. */
export async function createClock(db: Queryable): Promise<void> {
  for (const text of [
    "create schema ahead",
    "create sequence ahead.ms minvalue 0 start 0",
    ...["clock_timestamp", "statement_timestamp"].map(
      (name) =>
        `create function ahead.${name}() returns timestamptz language sql volatile as
         $$ select pg_catalog.${name}() + (select last_value from ahead.ms)::float8 * interval '1 ms' $$`,
    ),
  ])
    await db.query({ text, values: [] });
}
