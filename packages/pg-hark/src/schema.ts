/**
 * Hark's tables for Drizzle, so that an application can read them. It is a separate subpath because
 * loading Drizzle takes a second.
 */
export * as schema from "@hark/core/schema";
