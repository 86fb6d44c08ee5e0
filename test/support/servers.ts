import { borrowPool, silentLogger } from "@hark/core";
import { type StartOptions, startServer } from "@hark/job-manager";
import type { RunningServer } from "@hark/server";
import { test as base } from "../setup/fixtures.ts";

/**
 * Starts a server on the file's database and a free port of loopback. It is closed at the end of
 * the test.
 */
export type StartServer = (options?: Partial<StartOptions>) => Promise<RunningServer>;

export const test = base
  .extend("database", { scope: "file" }, ({ pool }) => borrowPool(pool))
  .extend("start", async ({ database }, { onCleanup }): Promise<StartServer> => {
    const started: RunningServer[] = [];
    onCleanup(async () => void (await Promise.all(started.map((server) => server.close()))));
    return async (options = {}) => {
      const server = await startServer({ database, port: 0, logger: silentLogger, ...options });
      started.push(server);
      return server;
    };
  });
