/**
 * Takes locks and writes under their guard, either in time or too late, when the write must be
 * refused.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createLocks, openDatabase } from "@hark/core";
import { randomFrom } from "../../../support/random.ts";
import { now } from "../ledger/clock.ts";
import { LedgerFile } from "../ledger/ledger.ts";
import { leave, readOptions, tell } from "./tell.ts";

export interface LockerOptions {
  name: string;
  databaseUrl: string;
  ledger: string;
  seed: number;
}

const options = readOptions() as LockerOptions;
const ledger = new LedgerFile(options.ledger, `${options.name}.${process.pid}`);
const random = randomFrom(options.seed);
const db = openDatabase({ connectionString: options.databaseUrl, applicationName: "hark locker" });
const locks = createLocks({ db, owner: options.name });

const stopping = new AbortController();
process.on("message", (word) => word === "stop" && stopping.abort());
tell({ kind: "ready" });
while (!stopping.signal.aborted) {
  try {
    await hold(`shelf-${Math.trunc(random() * 2)}`);
  } catch {
    await sleep(50 + random() * 200); // another process has it, or the database does not answer
  }
}
await db.close();
leave();

async function hold(key: string): Promise<void> {
  const ttlMs = 300 + Math.trunc(random() * 700);
  const askedAt = now();
  const lock = await locks.acquire(key, { ttlMs, waitMs: 2_000 });
  ledger.write({ event: "granted", key, fence: String(lock.fence), askedAt });
  // A third of them sleep past the lock's time, and ignore its signal.
  await sleep(ttlMs * (random() < 0.3 ? 1.2 + random() : random() * 0.5));
  await db.transaction(async (tx) => {
    await lock.guard(tx);
    await tx.query("insert into shelf (key, fence) values ($1, $2)", [key, lock.fence]);
  });
  await lock.release();
}
