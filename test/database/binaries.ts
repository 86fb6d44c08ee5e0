import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Account, runAs } from "./account.ts";

/** The programs of one PostgreSQL installation, checked to start. */
export interface Binaries {
  /** As the server reports it, such as "18.4". */
  version: string;
  initdb: string;
  postgres: string;
  pgCtl: string;
}

/**
 * Returns the programs in a bin directory after running each as the server's account. Only this
 * shows that the account can reach them, that they are executable, and that they find their shared
 * libraries. Throws if one does not start.
 */
export async function binariesIn(directory: string, account: Account | undefined): Promise<Binaries> {
  const [initdb, postgres, pgCtl] = ["initdb", "postgres", "pg_ctl"].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];

  const run = async (file: string, tries = 3): Promise<string> => {
    try {
      return (await promisify(execFile)(file, ["--version"], { ...runAs(account), cwd: "/" })).stdout;
    } catch (error) {
      // Ctrl-C also reaches these programs. Ended by it, a program may still be able to run.
      if (tries > 1 && error instanceof Error && "signal" in error && error.signal === "SIGINT")
        return run(file, tries - 1);
      throw error;
    }
  };
  const [answer] = await Promise.all([postgres, initdb, pgCtl].map((file) => run(file)));

  return {
    version: /\d+(?:\.\d+|\w+)/.exec(answer ?? "")?.[0] ?? "unknown",
    initdb,
    postgres,
    pgCtl,
  };
}

/** Returns the bin directory of an installed PostgreSQL of that major version, or undefined. */
export function findInstalled(major: number): string | undefined {
  return [
    `/usr/lib/postgresql/${major}/bin`, // Debian, Ubuntu
    `/usr/pgsql-${major}/bin`, // the PostgreSQL project's packages for Red Hat, Fedora, SUSE
    `/usr/libexec/postgresql${major}`, // Alpine
    `/opt/homebrew/opt/postgresql@${major}/bin`,
    `/usr/local/opt/postgresql@${major}/bin`,
    `/Applications/Postgres.app/Contents/Versions/${major}/bin`,
  ].find((directory) => existsSync(directory) && readdirSync(directory).includes("initdb"));
}
