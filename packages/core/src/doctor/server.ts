import type { Queryable } from "../database.ts";

/** The server at the other end, and as whom it was reached. */
export interface ServerFacts {
  /** server_version_num, such as 180004. */
  readonly number: number;
  readonly version: string;
  readonly database: string;
  readonly role: string;
  /** Whether it replays the log of another server, and takes no writes. */
  readonly isStandby: boolean;
}

export async function describeServer(db: Queryable): Promise<ServerFacts> {
  const { rows } = await db.query({
    text: `select current_setting('server_version_num')::int as number, current_setting('server_version') as version,
                  current_database() as database, current_user as role,
                  pg_is_in_recovery() as "isStandby"`,
    values: [],
  });
  return rows[0] as unknown as ServerFacts;
}
