import { randomUUID } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
// Not all of core: a thread that comes up in a tenth of the time is a lease that is renewed again so much sooner.
import { jitter } from "@hark/core/clock";
import { registerWorker, renewLease } from "@hark/core/statements";
import { Client } from "pg";

/** What the lease keeper hands to its thread. */
export interface LeaseThreadData {
  readonly connectionString: string;
  readonly name: string;
  readonly hostname: string;
  readonly queues: string;
  readonly leaseMs: number;
  /** [0] counts the main thread's ticks, one a second; [1] is 1 if a process whose main thread hangs shall end. */
  readonly ticks: Int32Array;
}

export type LeaseNews =
  | { readonly kind: "registered"; readonly identity: string }
  | { readonly kind: "lost" }
  /** Who else lives, by queue; told when it differs from what was told before. */
  | { readonly kind: "peers"; readonly peers: Readonly<Record<string, readonly string[]>> }
  | { readonly kind: "failed"; readonly message: string };

/** Seconds without a tick after which the main thread is taken to hang: the lease is left to expire (FM-18). */
const mostSilentChecks = 60;

const { connectionString, name, hostname, queues, leaseMs, ticks } = workerData as LeaseThreadData;
const port = parentPort!;
const tell = (news: LeaseNews) => port.postMessage(news);

/** Renewals come every third of the lease, so that one may fail and be tried again. */
const intervalMs = leaseMs / 3;
/** Stop trusting the lease this much before it ends, by the monotonic clock counted from before the request (FM-23). */
const marginMs = Math.min(1_000, leaseMs / 10);

let client: Client | undefined;
let silentChecks = 0;
let lastTick = -1;
let toldPeers = "";

setInterval(() => {
  const tick = Atomics.load(ticks, 0);
  // Counted in checks, not in time: a process that was stopped and continued has not hung.
  silentChecks = tick === lastTick ? silentChecks + 1 : 0;
  lastTick = tick;
  if (silentChecks === mostSilentChecks && Atomics.load(ticks, 1) === 1) process.kill(process.pid, "SIGKILL");
}, 1_000);

// The keeper's only word is to stop: say goodbye to the server, then end this thread (not the process).
port.once("message", () => void (client?.end() ?? Promise.resolve()).catch(() => {}).finally(() => process.exit()));

for (;;) {
  const { identity, heldUntil } = await register();
  tell({ kind: "registered", identity });
  await keep(identity, heldUntil);
  tell({ kind: "lost" }); // a dead identity never comes back: register under a new one
}

async function register(): Promise<{ identity: string; heldUntil: number }> {
  for (;;) {
    const identity = randomUUID();
    const askedAt = performance.now();
    try {
      await registerWorker(await connect(), { id: identity, name, hostname, pid: process.pid, queues, leaseMs });
      return { identity, heldUntil: askedAt + leaseMs - marginMs };
    } catch (error) {
      await startOver(error);
    }
  }
}

/** Renews until the lease is refused, or no answer came while it held. */
async function keep(identity: string, heldUntil: number): Promise<void> {
  let pauseMs = intervalMs;
  for (;;) {
    await wait(Math.max(Math.min(jitter(pauseMs), heldUntil - performance.now()), 0));
    if (silentChecks >= mostSilentChecks) {
      // The main thread cannot run its jobs: let others have them.
      if (performance.now() >= heldUntil) return;
      continue;
    }
    const askedAt = performance.now();
    if (askedAt >= heldUntil) return;
    try {
      const [renewed] = await renewLease(await connect(), { id: identity, leaseMs });
      if (!renewed) return;
      heldUntil = askedAt + leaseMs - marginMs;
      pauseMs = intervalMs;
      const peers = JSON.stringify(renewed.peers);
      if (peers !== toldPeers) tell({ kind: "peers", peers: renewed.peers });
      toldPeers = peers;
    } catch (error) {
      pauseMs = 0; // at once, on a fresh socket, while the lease lives (FM-19)
      await startOver(error);
    }
  }
}

/** The thread's own connection: handlers that hold every client of every pool take nothing from it. */
async function connect(): Promise<Client> {
  if (client) return client;
  const fresh = new Client({
    connectionString,
    application_name: "hark lease",
    connectionTimeoutMillis: Math.min(3_000, intervalMs),
    query_timeout: Math.min(3_000, intervalMs),
    keepAlive: true,
  });
  fresh.on("error", () => drop(fresh));
  fresh.on("end", () => drop(fresh));
  client = fresh;
  await fresh.connect();
  return fresh;
}

function drop(broken: Client): void {
  if (client === broken) client = undefined;
}

async function startOver(error: unknown): Promise<void> {
  const broken = client;
  client = undefined;
  broken?.end().catch(() => {}); // it may never answer: nobody waits for it
  tell({ kind: "failed", message: error instanceof Error ? error.message || error.name : String(error) });
  await wait(jitter(150, 0.6));
}
