import { neverReturned, statement } from "../statement.ts";

/** Ends a worker's registration, once it holds no jobs. */
export const leaveWorkers = statement<{ id: string }, never>(
  "leave-workers",
  ["id"],
  `delete from hark.workers where id = $1`,
  neverReturned,
);
