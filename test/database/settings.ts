/** How a server for tests differs from PostgreSQL's defaults. */
export interface ServerOptions {
  /** Settings that override those of this file: `{ wal_level: "logical" }`. */
  settings?: Record<string, string>;
  /**
   * True makes commits survive a power cut, as on a production server: needed for meaningful
   * measurements.
   */
  durable?: boolean;
}

/**
 * For every server. It listens on loopback only, since the path of a socket may be too long for the
 * system.
 */
const always = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "200", // a test run has two workers, each with some pools of 10 and processes of their own
  log_lock_waits: "on",
};

/** For tests, where a cluster lives for minutes: fast writes, and deadlocks found fast. */
const throwAway = {
  fsync: "off",
  full_page_writes: "off",
  deadlock_timeout: "20ms",
};

/** Returns the settings for `postgresql.conf`. */
export function serverSettings({ settings, durable }: ServerOptions): Record<string, string> {
  return { ...always, ...(durable ? {} : throwAway), ...settings };
}
