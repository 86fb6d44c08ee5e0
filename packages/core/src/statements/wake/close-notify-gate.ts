import { statement } from "../statement.ts";

/** Closes the notify gates of queues; returns how many of them this session had opened. */
export const closeNotifyGate = statement<{ queues: readonly string[] }, { closed: number }>(
  "close-notify-gate",
  ["queues"],
  `select count(*) filter (where pg_advisory_unlock_shared(1751216747, hashtext(queue)))::int as closed
     from unnest($1::text[]) queue`,
  (row) => ({ closed: row.closed as number }),
);
