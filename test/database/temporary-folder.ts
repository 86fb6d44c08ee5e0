import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { type Account, runAs } from "./account.ts";

/**
 * Returns a folder for temporary files that the server's account can enter and clean up. Root's own
 * TMPDIR may be closed to other accounts: then it is /tmp. Throws if both are closed.
 */
export function temporaryFolder(account: Account | undefined): string {
  if (!account) return tmpdir();

  // Asks the system, because modes alone are not enough: parent folders, access lists and mounts
  // count too.
  const canUse = (folder: string): boolean =>
    spawnSync("sh", ["-c", 'cd "$1" && [ -w . ]', "sh", folder], {
      ...runAs(account),
      cwd: "/",
      stdio: "ignore",
    }).status === 0;

  const found = [tmpdir(), "/tmp"].find(canUse);
  if (found) return found;
  throw new Error(
    `The account ${account.name}, which PostgreSQL would run as, can use neither ${tmpdir()} nor /tmp. ` +
      "Set TMPDIR to a folder open to every account.",
  );
}
