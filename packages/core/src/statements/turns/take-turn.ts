import { statement } from "../statement.ts";

export interface TurnRequest {
  /** The host, with its port if the URL names one. */
  readonly host: string;
  /** Priority of the job. More urgent jobs get earlier turns. */
  readonly priority: number;
  /** Least time from this turn to the next one of the host, in ms. */
  readonly delayMs: number;
  /** A turn within this time is granted, in ms. */
  readonly patienceMs: number;
}

export interface Turn {
  /** False if the turn is later than `patienceMs`: the caller has to ask again when it comes. */
  readonly isGranted: boolean;
  /** Time until the turn, in ms. */
  readonly waitMs: number;
}

/** Asks for the next turn at a host, by the database's clock. Always returns one row. */
export const takeTurn = statement<TurnRequest, Turn>(
  "take-turn",
  ["host", "priority", "delayMs", "patienceMs"],
  `select is_granted, wait_ms from hark.take_turn($1, $2, $3, $4)`,
  (row) => ({ isGranted: row.is_granted as boolean, waitMs: Number(row.wait_ms) }),
);
