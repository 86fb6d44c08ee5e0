import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // The report is what .ci/run counts from.
    reporters: process.env.CI
      ? ["default", ["json", { outputFile: `.scratch/test-report${process.env.TEST_POSTGRES_MAJOR ?? ""}.json` }]]
      : ["default"],
    projects: [
      {
        test: {
          name: "unit",
          include: ["packages/*/src/**/*.test.ts", "examples/*/src/**/*.test.ts", "bench/src/**/*.test.ts"],
        },
      },
      {
        test: {
          name: "test",
          include: ["test/**/*.test.ts"],
          exclude: ["test/proof/**"],
          globalSetup: ["test/setup/global-setup.ts"],
          // Processes, not threads: fault tests kill, and a thread shares its signals and memory with the others.
          pool: "forks",
          maxWorkers: 2,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "proof",
          include: ["test/proof/**/*.test.ts"],
          globalSetup: ["test/setup/global-setup.ts"],
          pool: "forks",
          maxWorkers: 2,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
