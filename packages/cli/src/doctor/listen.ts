import { describeUrl, doctor, openDatabase } from "@hark/core";
import { verdictOn } from "../exit-codes.ts";
import { type Check, fail, ok } from "./check.ts";

const pollCost = "Until then jobs start by the poll: up to 5 s late.";

/** Whether notifications arrive over the URL that everything uses (FM-04). */
export const listenCheck: Check = {
  name: "LISTEN",
  needs: "connection",
  async run({ db, connection: { where, listenUrl } }) {
    const tookMs = await doctor.probeListen(db, db);
    if (tookMs !== undefined) return ok(`a notification came back in ${tookMs} ms`, { isHeard: true, tookMs });
    if (listenUrl !== undefined) {
      return ok(`silent at ${where}, as through a transaction pooler: HARK_LISTEN_URL is used instead`, {
        isHeard: false,
      });
    }
    return fail(
      `no notification came within ${doctor.echoMs / 1_000} s through ${where}: it is a transaction pooler, where LISTEN is silent`,
      `Set HARK_LISTEN_URL to a URL that leads straight to PostgreSQL (port 5432, or the host without "-pooler"). ${pollCost}`,
      { isHeard: false },
    );
  },
};

/**
 * Whether what is sent over the one URL is heard over the other: that also proves that both lead to
 * one database.
 */
export const listenUrlCheck: Check = {
  name: "HARK_LISTEN_URL",
  needs: "connection",
  async run({ db, connection: { where, listenUrl } }) {
    if (listenUrl === undefined) return ok("not set: notifications come over the database's URL");
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
        `what ${where} sends was not heard at ${listenWhere} within ${doctor.echoMs / 1_000} s`,
        `Let HARK_LISTEN_URL lead straight to PostgreSQL, not through a transaction pooler, and to the same database. ${pollCost}`,
        { isHeard: false },
      );
    } catch (error) {
      return fail(`no LISTEN at ${listenWhere}: ${verdictOn(error).message}`, `Correct HARK_LISTEN_URL. ${pollCost}`);
    } finally {
      await listening.close();
    }
  },
};
