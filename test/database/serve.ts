import { once } from "node:events";
import { startEmbedded } from "./start.ts";

/**
 * `pnpm run db`: a durable PostgreSQL for trying things out, until Ctrl-C. It leaves nothing
 * behind.
 */
await using server = await startEmbedded({ durable: true });
process.stdout.write(`export DATABASE_URL=${server.url}\n`);
process.stderr.write(`PostgreSQL ${server.version} runs until Ctrl-C. Paste the line above into another terminal.\n`);
const stayingAlive = setInterval(() => {}, 60_000); // keeps this process running: neither the server nor a signal handler does
await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
clearInterval(stayingAlive);
