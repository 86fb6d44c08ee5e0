import { randomBytes } from "node:crypto";
import type { Database } from "../database.ts";

/**
 * How long a notification may take to count as heard, in ms: it takes milliseconds; this is for a
 * far or busy server.
 */
export const echoMs = 2_000;

/**
 * LISTENs in a session of `listening`, which then stays idle, and NOTIFYs from a second, of
 * `notifying`: a transaction pooler lets a session hear its own notifications, and no others
 * (FM-04; measured with PgBouncer 1.18). Returns the ms until it came, undefined if it did not.
 */
export async function probeListen(listening: Database, notifying: Database): Promise<number | undefined> {
  const channel = `hark_probe_${randomBytes(8).toString("hex")}`; // an identifier by its form: LISTEN takes no parameters
  const session = await listening.pool.connect();
  try {
    const heard = Promise.withResolvers<number | undefined>();
    let sentAt = Number.NaN;
    session.on("notification", (message) => {
      if (message.channel === channel) heard.resolve(Math.round(performance.now() - sentAt));
    });
    await session.query(`listen ${channel}`);
    sentAt = performance.now();
    await notifying.query({ text: "select pg_notify($1, '')", values: [channel] });
    const timer = setTimeout(() => heard.resolve(undefined), echoMs);
    const tookMs = await heard.promise;
    clearTimeout(timer);
    // Over a pooler this may reach another backend; the LISTEN then stays on the first until the
    // pooler closes that.
    await session.query(`unlisten ${channel}`);
    return tookMs;
  } finally {
    session.release(true);
  }
}
