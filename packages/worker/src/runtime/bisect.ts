import { mayBeOneRow } from "@hark/core/internal";

export interface Bisection<Row> {
  /** Moves these rows in one statement, or throws. */
  readonly move: (rows: readonly Row[]) => Promise<void>;
  /** Called for each row that is refused by itself. */
  readonly alone: (row: Row, error: unknown) => Promise<void> | void;
  /** Whether a single row may be the cause of an error; mayBeOneRow() of core if not given. */
  readonly isRowsFault?: (error: unknown) => boolean;
  /** Ends the bisection early. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Moves rows together. If the database refuses them and one of them may be the cause, moves each
 * half by itself, so that a bad row does not stop the others (FM-16). One bad row in 1,000 costs 20
 * more statements. Throws errors that no single row can cause.
 */
export async function bisect<Row>(rows: readonly Row[], bisection: Bisection<Row>): Promise<void> {
  const { move, alone, isRowsFault = mayBeOneRow, signal } = bisection;
  if (rows.length === 0 || signal?.aborted) return;
  try {
    return await move(rows);
  } catch (error) {
    if (!isRowsFault(error)) throw error;
    if (rows.length === 1) return alone(rows[0]!, error);
  }
  const middle = Math.ceil(rows.length / 2);
  await bisect(rows.slice(0, middle), bisection);
  await bisect(rows.slice(middle), bisection);
}
