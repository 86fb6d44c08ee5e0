import { parentPort, workerData } from "node:worker_threads";
import { Client } from "pg";
import { type LeaseNews, renewForEver } from "./lease-renewal.ts";
import { SharedDeadline } from "./shared-deadline.ts";

/** What the lease keeper hands to its thread. */
export interface LeaseThreadData {
  readonly connectionString: string;
  readonly name: string;
  readonly hostname: string;
  readonly queues: string;
  readonly leaseMs: number;
  /**
   * [0] counts the main thread's ticks, two a second; [1] is 1 if the process must end when its
   * main thread hangs.
   */
  readonly ticks: Int32Array;
  /** The memory of a {@link SharedDeadline}. */
  readonly held: SharedArrayBuffer;
}

/**
 * Checks in a row, one a second, without a tick, after which the main thread is taken to hang: the
 * lease expires (FM-18).
 */
const mostSilentChecks = 60;

const { connectionString, ticks, held, ...registration } = workerData as LeaseThreadData;
const leaseHold = new SharedDeadline(held);
const port = parentPort!;

/** Deadline for a connection and for each answer, in ms. At most the time between two renewals. */
const deadlineMs = Math.min(3_000, registration.leaseMs / 3);

let client: Client | undefined;
let silentChecks = 0;
let lastTick = -1;

setInterval(() => {
  const tick = Atomics.load(ticks, 0);
  // Counted in checks, not in time: a process that was stopped and continued has not hung.
  silentChecks = tick === lastTick ? silentChecks + 1 : 0;
  lastTick = tick;
  if (silentChecks === mostSilentChecks && Atomics.load(ticks, 1) === 1) process.kill(process.pid, "SIGKILL");
}, 1_000);

// The keeper sends one message, to stop: close the connection, then end this thread (not the
// process).
port.once("message", () => void (client?.end() ?? Promise.resolve()).catch(() => {}).finally(() => process.exit()));

// Not awaited, which a script cannot do at its top. If it fails, the thread ends with the error.
void renewForEver({
  ...registration,
  tell: (news: LeaseNews) => port.postMessage(news),
  hold: (...words) => leaseHold.set(...words),
  connect,
  discard,
  isMainHung: () => silentChecks >= mostSilentChecks,
});

/** The thread's own connection. Handlers that use up every pool do not affect it. */
async function connect(): Promise<Client> {
  if (client) return client;
  const fresh = new Client({
    connectionString,
    application_name: "hark lease",
    connectionTimeoutMillis: deadlineMs,
    query_timeout: deadlineMs,
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

function discard(): void {
  const broken = client;
  client = undefined;
  broken?.end().catch(() => {}); // not awaited, since it may never answer
}
