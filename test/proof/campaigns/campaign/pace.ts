import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { now } from "../ledger/clock.ts";
import type { LedgerFile } from "../ledger/ledger.ts";

/** From one look to the next, in ms. */
const everyMs = 400;
/** A server that takes longer is down, so the time says nothing about the machine. */
const deadlineMs = 5_000;

/**
 * Records again and again how long a new session that listens takes on this machine. It connects
 * straight to the server, on an event loop that no job blocks. A worker that must reconnect needs
 * as long, whatever Hark does.
 */
export function watchPace(url: () => string, ledger: LedgerFile): AsyncDisposable {
  const stopping = new AbortController();
  const running = (async () => {
    while (!stopping.signal.aborted) {
      const at = now();
      const ms = await timeToListen(url()).catch(() => undefined); // no answer: the server is down
      if (ms !== undefined) ledger.write({ event: "paced", ms: Math.round(ms), at });
      await sleep(everyMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
    },
  };
}

async function timeToListen(connectionString: string): Promise<number> {
  const beganAt = performance.now();
  const client = new pg.Client({
    connectionString,
    application_name: "campaign pace",
    connectionTimeoutMillis: deadlineMs,
    query_timeout: deadlineMs,
  });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.query("listen campaign_pace");
    return performance.now() - beganAt;
  } finally {
    void client.end().catch(() => {});
  }
}
