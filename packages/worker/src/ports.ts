import { Worker as Thread } from "node:worker_threads";
import { checkSchema, type Database, type DatabaseOptions, openDatabase } from "@hark/core";
import type { LeaseNews } from "./lease/lease-renewal.ts";
import type { LeaseThreadData } from "./lease/lease-thread.ts";
import { ListenSession, type SessionOptions } from "./wake/listen-session.ts";

/** The lease thread, seen from the main one. */
export interface LeaseThread {
  on(event: "message", heard: (news: LeaseNews) => void): unknown;
  on(event: "error", failed: (error: unknown) => void): unknown;
  on(event: "exit", exited: () => void): unknown;
  once(event: "exit", exited: () => void): unknown;
  postMessage(word: "stop"): void;
  terminate(): Promise<unknown>;
}

/**
 * Everything that a worker reaches beyond its own thread. The simulation in test/proof/simulation
 * replaces it.
 */
export interface Ports {
  /** Throws SchemaVersionError or DatabaseUnreachableError. */
  readonly checkSchema: (connectionString: string) => Promise<void>;
  readonly openDatabase: (options: DatabaseOptions) => Database;
  readonly newListenSession: (
    options: SessionOptions,
  ) => Pick<ListenSession, "open" | "ping" | "probe" | "beat" | "close" | "mayBeLeft">;
  readonly startLeaseThread: (data: LeaseThreadData) => LeaseThread;
}

export const realPorts: Ports = {
  checkSchema,
  openDatabase,
  newListenSession: (options) => new ListenSession(options),
  startLeaseThread(data) {
    // Tests run the source, and all other code runs the build.
    const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const file = new URL(`./lease/lease-thread.${extension}`, import.meta.url);
    return new Thread(file, { workerData: data, name: "hark lease" });
  },
};
