import { statement } from "../statement.ts";

/** Closes the notify gate of a queue; returns false if this session had not opened it. */
export const closeNotifyGate = statement<{ queue: string }, { wasOpen: boolean }>(
  "close-notify-gate",
  ["queue"],
  `select pg_advisory_unlock_shared(1751216747, hashtext($1)) as was_open`,
  (row) => ({ wasOpen: row.was_open as boolean }),
);
