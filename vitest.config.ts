import { defineConfig } from "vitest/config";
import { allTags } from "./test/docs/tags.ts";

/** The file for the results as JSON. `.ci/run` counts from it. */
const report = process.env.TEST_REPORT;

/**
 * For tests on a real PostgreSQL. They run in processes, not threads: tests kill, and a thread
 * shares its signals and memory with the others.
 */
const onDatabase = {
  globalSetup: ["test/setup/global-setup.ts"],
  pool: "forks",
  testTimeout: 60_000,
  hookTimeout: 60_000,
} as const;

export default defineConfig({
  test: {
    reporters: report ? ["default", ["json", { outputFile: report }]] : ["default"],
    // The tags that name what tests prove. A test with a tag that no document lists fails.
    tags: allTags(),
    projects: [
      {
        test: {
          name: "unit",
          include: ["packages/*/src/**/*.test.ts", "examples/*/src/**/*.test.ts", "bench/src/**/*.test.ts"],
          // One process for many files: loading the same modules again for each of them takes more
          // than half of the CPU time.
          isolate: false,
          testTimeout: 60_000,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: "test",
          include: ["test/**/*.test.ts"],
          exclude: ["**/node_modules/**", "test/proof/**"],
          ...onDatabase,
          // One process for many files here too: it saves a third of the CPU time.
          isolate: false,
          // More than there are cores, since most of these tests wait most of the time.
          maxWorkers: 4,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: "proof",
          include: ["test/proof/**/*.test.ts"],
          ...onDatabase,
          // Fault tests measure how fast Hark recovers, and need the machine for themselves.
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
