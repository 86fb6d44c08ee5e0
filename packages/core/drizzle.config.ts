import { defineConfig } from "drizzle-kit";

/** Paths are relative to the workspace root, where `pnpm db:generate` runs. */
export default defineConfig({
  dialect: "postgresql",
  schema: "./packages/core/src/schema/*.ts",
  out: "./drizzle",
});
