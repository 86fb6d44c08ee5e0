/**
 * Whatever runs a statement: a pool, a client, a Database, or a caller's transaction behind
 * transaction.ts.
 */
export interface Queryable {
  query(statement: { name?: string; text: string; values: unknown[] }): Promise<{ rows: Record<string, unknown>[] }>;
}
