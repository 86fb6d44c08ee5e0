/** The HTTP API as its own process. */
import { createLogger } from "@hark/core";
import { startServer } from "@hark/job-manager";
import { page } from "./jobs.ts";
import { leave, readOptions, tell } from "./tell.ts";

export interface ApiOptions {
  name: string;
  databaseUrl: string;
  /** 0 chooses a free port. */
  port: number;
}

const { databaseUrl, port } = readOptions() as ApiOptions;
const server = await startServer({
  connectionString: databaseUrl,
  port,
  jobs: [page],
  logger: createLogger(process.env["CAMPAIGN_LOG"] ?? "fatal"),
  drainTimeout: 1_000,
});
process.on("message", (word) => {
  if (word === "stop") void server.close().then(leave);
});
tell({ kind: "ready", url: server.url });
