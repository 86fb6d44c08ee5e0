import { pgSchema } from "drizzle-orm/pg-core";

/**
 * All of Hark's tables live in one PostgreSQL schema, so that an application's own migrations never
 * meet them.
 */
export const hark = pgSchema("hark");
