/*
 * What Hark needs of a pool that it is given. The types are described here, and not imported from
 * `@types/pg`, so that a project's own version of it fits, whichever it is.
 */

/** How pools and clients run statements. */
interface PgQueries {
  query(text: string): Promise<{ rows: any[] }>;
  query(statement: { name?: string; text: string; values: any[] }): Promise<{ rows: any[] }>;
}

/** A client of a {@link PgPool}. */
export interface PgPoolClient extends PgQueries {
  on(event: any, listener: any): unknown;
  release(error?: Error | boolean): void;
}

/** A pool of any version of `pg`, or anything shaped like it. */
export interface PgPool extends PgQueries {
  connect(): Promise<PgPoolClient>;
  on(event: any, listener: any): unknown;
  off(event: any, listener: any): unknown;
}
