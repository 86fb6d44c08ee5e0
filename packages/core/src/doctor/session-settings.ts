import { moveSettings, planSettings } from "../database.ts";
import type { Queryable } from "../queryable.ts";
import { missingSettings } from "../session.ts";

/** What a worker asks of the session in which its jobs move, besides what every session has. */
const workerSettings: Readonly<Record<string, string>> = { ...planSettings, ...moveSettings };

/**
 * Returns the names of the settings that a session for moves of jobs lacks, in the order of the
 * alphabet. `db` is such a session: one that was opened with `plansByIndex`.
 */
export const listMissingSettings = (db: Queryable): Promise<string[]> => missingSettings(db, workerSettings);
