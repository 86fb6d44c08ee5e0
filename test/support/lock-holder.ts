/**
 * A process for tests: holds the lock "shelf" for a second, and attempts a guarded write when it
 * gets a message.
 */
import { createLocks, HarkError, openDatabase } from "@hark/core";

const db = openDatabase({ connectionString: process.argv[2] ?? "" });
process.once("disconnect", () => process.exit(1));

const lock = await createLocks({ db }).acquire("shelf", { ttlMs: 1_000 });
process.once("message", () => void write());
process.send?.({ fence: String(lock.fence) });

async function write(): Promise<void> {
  let error: unknown;
  try {
    await db.transaction(async (tx) => {
      await lock.guard(tx);
      await tx.query("insert into shelf values ('stale', $1)", [lock.fence]);
    });
  } catch (thrown) {
    error = thrown instanceof HarkError ? thrown.code : String(thrown);
  }
  process.send?.({ error, isAborted: lock.signal.aborted, isReleased: await lock.release() });
}
