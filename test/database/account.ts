import { execFileSync } from "node:child_process";

/**
 * The operating system account that a server runs as. It is named in the user database, because
 * initdb looks it up.
 */
export interface Account {
  name: string;
  uid: number;
  gid: number;
}

/**
 * The best candidate first. `nobody` exists everywhere, so that nothing has to be added to the
 * machine.
 */
const candidates = ["postgres", "_postgres", "nobody"];

/**
 * Returns the account to run PostgreSQL as, or undefined for the current one. PostgreSQL refuses to
 * run as root, and only root may start a process as another account. Throws if root finds none of
 * the accounts.
 */
export function serverAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;

  for (const name of candidates) {
    const uid = idOf("-u", name);
    const gid = idOf("-g", name);
    if (uid && gid !== undefined) return { name, uid, gid };
  }
  throw new Error(
    `PostgreSQL refuses to run as root, and none of the accounts ${candidates.join(", ")} exists to run it as. ` +
      "Run as an ordinary user, or set TEST_DATABASE_URL to a server of your own.",
  );
}

/** Spawn options that run a child as the account. Node drops root's other groups by itself. */
export function runAs(account: Account | undefined): { uid?: number; gid?: number } {
  return account ? { uid: account.uid, gid: account.gid } : {};
}

function idOf(flag: "-u" | "-g", name: string): number | undefined {
  try {
    return Number(execFileSync("id", [flag, name], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
  } catch {
    return undefined; // `id` fails for an unknown account
  }
}
