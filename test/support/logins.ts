import { randomBytes } from "node:crypto";
import { createRoles, type roleNames } from "@hark/core";
import pg from "pg";
import { test as base } from "./fixtures.ts";

type Role = (typeof roleNames)[number];

/**
 * A login of its own in one of the roles. Tests log in and do not use SET ROLE: Hark's functions
 * decide by the login.
 */
export interface Login {
  name: string;
  url: string;
  /** One session, so that its objects in pg_temp stay. */
  client: pg.Client;
}

/** Creates a login that is in these roles and in no other. */
export type LogIn = (...roles: Role[]) => Promise<Login>;

/**
 * A test on a database with the roles. Logins belong to the whole server, and are dropped after the
 * file.
 */
export const test = base.extend(
  "logIn",
  { scope: "file" },
  async ({ databaseUrl, pool }, { onCleanup }): Promise<LogIn> => {
    await createRoles({ connectionString: databaseUrl });
    const logins: Login[] = [];
    onCleanup(async () => {
      await Promise.all(logins.map(({ client }) => client.end().catch(() => {})));
      for (const { name } of logins) {
        await pool.query(`drop owned by ${name}`);
        // A worker that a failed test left may still be connected. It uses the file's own database,
        // which is dropped next.
        await pool.query(`drop role ${name}`);
      }
    });
    return async (...roles) => {
      const name = `hark_test_${randomBytes(6).toString("hex")}`;
      const password = randomBytes(12).toString("hex");
      await pool.query(`create role ${name} login password '${password}' in role ${roles.join(", ")}`);
      const url = new URL(databaseUrl);
      url.username = name;
      url.password = password;
      const client = new pg.Client({ connectionString: url.href });
      client.on("error", () => {});
      await client.connect();
      const login = { name, url: url.href, client };
      logins.push(login);
      return login;
    };
  },
);
