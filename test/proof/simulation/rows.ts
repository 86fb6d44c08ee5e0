export type Row = Record<string, unknown>;

/** A row that a transaction inserted, changed or deleted. */
export interface Change {
  readonly table: string;
  readonly was: Row | null;
  readonly is: Row | null;
}

/** Where a job is: a row of a table. */
export interface Place {
  readonly table: string;
  readonly row: Row;
}

/** A claim that came to its end, and where its job went. */
export interface EndedClaim {
  readonly id: bigint;
  readonly token: string;
  readonly worker: string;
  readonly attempt: number;
  /** As the ledger of attempts has it, in which a first success is not. */
  readonly ending: string;
  readonly place: Place | undefined;
}

/**
 * The rows of the tables by their ids, as triggers told of them: what the database has committed.
 */
export class Rows {
  readonly #places = new Map<string, Place[]>();

  /** Takes a transaction's changes over, and returns the claims that it ended. */
  apply(changes: readonly Change[]): EndedClaim[] {
    for (const { table, was, is } of changes) {
      if (was) this.#remove(table, was);
      if (is && "id" in is) this.#at(is.id).push({ table, row: is });
    }
    return changes.flatMap(({ table, was, is }) =>
      table === "running_jobs" && was && !is ? this.#endOf(was, changes) : [],
    );
  }

  /** The rows of one id. */
  of(id: unknown): readonly Place[] {
    return this.#places.get(String(id)) ?? [];
  }

  /**
   * Where a job is, in one word each: a job that is nowhere is lost, and one in two places is two.
   */
  placesOf(id: unknown): string[] {
    return this.of(id).map(wordFor);
  }

  /** The rows of a table. */
  in(wanted: string): Row[] {
    const places = [...this.#places.values()].flat();
    return places.filter(({ table }) => table === wanted).map(({ row }) => row);
  }

  #at(id: unknown): Place[] {
    const places = this.#places.get(String(id)) ?? [];
    this.#places.set(String(id), places);
    return places;
  }

  #remove(wanted: string, { id }: Row): void {
    const places = this.#at(id);
    const place = places.findIndex(({ table }) => table === wanted);
    if (place >= 0) places.splice(place, 1);
  }

  #endOf({ id, token, worker, attempt }: Row, changes: readonly Change[]): EndedClaim {
    const line = changes.find(
      ({ table, is }) => table === "attempts" && is !== null && is.job_id === id && is.token === token,
    );
    return {
      id: BigInt(id as number),
      token: token as string,
      worker: worker as string,
      attempt: attempt as number,
      ending: (line?.is?.ending as string | undefined) ?? "completed",
      place: this.of(id).at(-1),
    };
  }
}

export const wordFor = ({ table, row }: Place): string => (row.state as string | undefined) ?? table;
