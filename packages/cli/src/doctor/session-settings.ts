import { doctor, openDatabase } from "@hark/core";
import { type Check, ok, warn } from "./check.ts";

/** Looks for what a worker's session asks for and does not get, by opening one (FM-80, FM-85). */
export const sessionSettingsCheck: Check = {
  name: "session settings",
  needs: "connection",
  async run({ connection: { url, listenUrl } }) {
    const isDeclared = listenUrl !== undefined && listenUrl !== url;
    const session = openDatabase({
      connectionString: url,
      applicationName: "hark doctor",
      maxConnections: 1,
      isPooled: isDeclared,
      deadlineMs: 5_000,
      plansByIndex: true,
    });
    try {
      const missing = await doctor.listMissingSettings(session);
      if (missing.length === 0) return ok("a worker's session has all that it sets", { missing });
      const message = `a worker's session does not have: ${missing.join(", ")}`;
      // Shared sessions cannot set anything: that was declared, and the plans of short claims need
      // it least.
      if (isDeclared && !missing.includes("default_transaction_isolation"))
        return ok(`${message} (pooled)`, { missing });
      return warn(
        message,
        "A pooler or proxy refuses or ignores them, so claims may be planned badly while statistics are old. Set them for the role: alter role <role> set <name> = <value>. Or use a URL that leads to PostgreSQL directly.",
        { missing },
      );
    } finally {
      await session.close();
    }
  },
};
