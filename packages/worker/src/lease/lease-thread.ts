import { parentPort, workerData } from "node:worker_threads";
import type { Queryable } from "@hark/core";
import { connectSession } from "@hark/core/session";
import type { Client } from "pg";
import { endHungProcess } from "./last-words.ts";
import { type LeaseNews, renewForEver } from "./lease-renewal.ts";
import { SharedDeadline } from "./shared-deadline.ts";

/** What the lease keeper hands to its thread. */
export interface LeaseThreadData {
  readonly connectionString: string;
  /** The main thread knows the password of each new connection. It answers {@link askPassword}. */
  readonly asksPassword: boolean;
  /** The URL goes through a transaction pooler. */
  readonly isPooled: boolean;
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

/** What the main thread says to this one. */
export type LeaseThreadWord = "stop" | { readonly password: string } | { readonly noPassword: string };

/**
 * Checks in a row, one a second, without a tick, after which the main thread is taken to hang: the
 * lease expires (FM-18).
 */
const mostSilentChecks = 60;

const { connectionString, asksPassword, isPooled, ticks, held, ...registration } = workerData as LeaseThreadData;
const leaseHold = new SharedDeadline(held);
const port = parentPort!;

/** Deadline for a connection and for each answer, in ms. At most the time between two renewals. */
const deadlineMs = Math.min(3_000, registration.leaseMs / 3);

/**
 * The server ends a statement before that, in ms, so that one that waits for a lock leaves no
 * session behind when this end has given it up.
 */
const statementMs = Math.ceil(deadlineMs * 0.9);

let client: Client | undefined;
let session: Queryable | undefined;
/** Resolves with the next password. The last one stands in while the main thread is busy. */
let awaited: { resolve: (password: string) => void; reject: (error: Error) => void } | undefined;
let lastPassword: string | undefined;
let silentChecks = 0;
let lastTick = -1;

setInterval(() => {
  const tick = Atomics.load(ticks, 0);
  // Counted in checks, not in time: a process that was stopped and continued has not hung.
  silentChecks = tick === lastTick ? silentChecks + 1 : 0;
  lastTick = tick;
  if (silentChecks === mostSilentChecks && Atomics.load(ticks, 1) === 1)
    void endHungProcess(registration.name, mostSilentChecks);
}, 1_000);

port.on("message", (word: LeaseThreadWord) => {
  if (word === "stop") {
    // Close the connection, then end this thread (not the process).
    void (client?.end() ?? Promise.resolve()).catch(() => {}).finally(() => process.exit());
  } else if ("password" in word) {
    lastPassword = word.password;
    awaited?.resolve(word.password);
  } else {
    awaited?.reject(new Error(word.noPassword));
  }
});

// Not awaited, which a script cannot do at its top. If it fails, the thread ends with the error.
void renewForEver({
  ...registration,
  tell: (news: LeaseNews) => port.postMessage(news),
  hold: (...words) => leaseHold.set(...words),
  connect,
  discard,
  isMainHung: () => silentChecks >= mostSilentChecks,
});

/**
 * The thread's own connection. Handlers that use up every pool do not affect it. Its statements
 * have no names: there are few, and a transaction pooler that nobody declared may be in the way.
 */
async function connect(): Promise<Queryable> {
  if (session) return session;
  const config = {
    isPooled,
    application_name: "hark lease",
    connectionTimeoutMillis: deadlineMs,
    query_timeout: deadlineMs,
    settings: { statement_timeout: String(statementMs) },
    keepAlive: true,
  };
  const fresh = await connectSession(
    { connectionString, password: asksPassword ? askPassword : undefined },
    config,
    (opened) => {
      opened.on("error", () => drop(opened));
      opened.on("end", () => drop(opened));
      client = opened;
    },
  );
  return (session = { query: ({ text, values }) => fresh.query({ text, values }) });
}

/** Asks the main thread. If that is busy, the last password counts. */
async function askPassword(): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  awaited = { resolve, reject };
  port.postMessage({ kind: "password" } satisfies LeaseNews);
  const timer = setTimeout(() => {
    if (lastPassword === undefined) reject(new Error("the main thread gave no password in time"));
    else resolve(lastPassword);
  }, deadlineMs / 2);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

function drop(broken: Client): void {
  if (client === broken) discard();
}

function discard(): void {
  const broken = client;
  client = session = undefined;
  broken?.end().catch(() => {}); // not awaited, since it may never answer
}
