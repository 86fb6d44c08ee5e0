import { workersColumns } from "../views.ts";
import { hark } from "./hark-schema.ts";

/**
 * One row per worker process start: its lease. `dead_at` is the death certificate, after which the
 * identity never comes back. No index on `expires_at`: a renewal stays a heap-only update.
 */
export const workers = hark.table("workers", workersColumns());
