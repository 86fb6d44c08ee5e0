/** How a server of our own differs from PostgreSQL's defaults. */
export interface ServerOptions {
  /** Set over ours: `{ wal_level: "logical" }`. */
  settings?: Record<string, string>;
  /** True keeps what survives a power cut, as a production server would: for figures that mean something. */
  durable?: boolean;
}

/** Of every server: reached over loopback only, since the path of a socket may be too long for the system. */
const always = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "200", // a test run has two workers, each with some pools of 10 and processes of their own
  log_lock_waits: "on",
};

/** Of tests, where a cluster lives for minutes: quick to write, and quick to find a deadlock. */
const throwAway = {
  fsync: "off",
  full_page_writes: "off",
  deadlock_timeout: "20ms",
};

/** Answers the settings for `postgresql.conf`. */
export function serverSettings({ settings, durable }: ServerOptions): Record<string, string> {
  return { ...always, ...(durable ? {} : throwAway), ...settings };
}
