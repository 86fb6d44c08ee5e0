import { checkSchema, type Database, type DatabaseOptions, openDatabase, type Password } from "@hark/core";
import type { LeaseThreadData } from "./lease/lease-thread.ts";
import { type LeaseThread, startLeaseThread } from "./lease/start-lease-thread.ts";
import { ListenSession, type SessionOptions } from "./wake/listen-session.ts";

/**
 * Everything that a worker reaches beyond its own thread. The simulation in test/proof/simulation
 * replaces it.
 */
export interface Ports {
  /** Throws SchemaVersionError or DatabaseUnreachableError. */
  readonly checkSchema: (connectionString: string, how: { password?: Password | undefined }) => Promise<void>;
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
  startLeaseThread,
};
