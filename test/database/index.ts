export { findInstalled } from "./binaries.ts";
export { type OpenOptions, openTestDatabase } from "./open.ts";
export type { PostgresServer } from "./server.ts";
export type { ServerOptions } from "./settings.ts";
export { startEmbedded, startInstalled } from "./start.ts";
export type { TestDatabase } from "./test-database.ts";
