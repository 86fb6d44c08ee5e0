/**
 * Hark's tables for Drizzle, to read them from an application. A subpath of its own: loading
 * Drizzle takes a second.
 */
export * as schema from "@hark/core/schema";
