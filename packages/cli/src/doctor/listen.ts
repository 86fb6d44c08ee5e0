import { doctor, openDatabase } from "@hark/core";
import { describeUrl } from "@hark/core/internal";
import { verdictOn } from "../exit-codes.ts";
import { type Check, fail, ok } from "./check.ts";

const pollCost = "Until then workers only poll, and jobs start up to 5 s late.";

/** Checks whether notifications arrive over the database's URL (FM-04). */
export const listenCheck: Check = {
  name: "LISTEN",
  needs: "connection",
  async run({ db, connection: { where, listenUrl } }) {
    const tookMs = await doctor.probeListen(db, db);
    if (tookMs !== undefined) return ok(`a notification came back in ${tookMs} ms`, { isHeard: true, tookMs });
    if (listenUrl !== undefined) {
      return ok(`no notifications through ${where}, probably a transaction pooler: HARK_LISTEN_URL is used instead`, {
        isHeard: false,
      });
    }
    return fail(
      `no notification came within ${doctor.echoMs / 1_000} s through ${where}, probably a transaction pooler, which does not support LISTEN`,
      `Set HARK_LISTEN_URL to a URL that connects to PostgreSQL directly (port 5432, or the host without "-pooler"). ${pollCost}`,
      { isHeard: false },
    );
  },
};

/**
 * Checks whether a notification sent over the database's URL arrives over the other. That also
 * proves that both are one database.
 */
export const listenUrlCheck: Check = {
  name: "HARK_LISTEN_URL",
  needs: "connection",
  async run({ db, connection: { where, listenUrl } }) {
    if (listenUrl === undefined) return ok("not set: notifications arrive over the database's URL");
    const listenWhere = describeUrl(listenUrl);
    const listening = openDatabase({
      connectionString: listenUrl,
      applicationName: "hark doctor",
      maxConnections: 1,
      isPooled: true,
      deadlineMs: 5_000,
    });
    try {
      const tookMs = await doctor.probeListen(listening, db);
      if (tookMs !== undefined)
        return ok(`a notification came from ${where} to ${listenWhere} in ${tookMs} ms`, { isHeard: true, tookMs });
      return fail(
        `a notification sent through ${where} did not arrive at ${listenWhere} within ${doctor.echoMs / 1_000} s`,
        `Set HARK_LISTEN_URL to the same database, directly at PostgreSQL and not through a transaction pooler. ${pollCost}`,
        { isHeard: false },
      );
    } catch (error) {
      return fail(
        `LISTEN failed at ${listenWhere}: ${verdictOn(error).message}`,
        `Correct HARK_LISTEN_URL. ${pollCost}`,
      );
    } finally {
      await listening.close();
    }
  },
};
