import { statsColumns } from "../views.ts";
import { hark } from "./hark-schema.ts";

/**
 * What became of jobs, as rows to be summed: every settled batch appends a delta, and upkeep folds
 * old rows into one per queue. No row is updated by a settle, so batches never wait for each other
 * here.
 */
export const stats = hark.table("stats", statsColumns());
