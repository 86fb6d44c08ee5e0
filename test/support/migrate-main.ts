/** A process for tests: migrates a database when it is told to, and says what came of it. */
import { HarkError, migrate } from "@hark/core";

process.once("disconnect", () => process.exit(1));
process.once("message", () => void run());
process.send?.("ready");

async function run(): Promise<void> {
  try {
    process.send?.({ applied: await migrate({ connectionString: process.argv[2] ?? "" }) });
  } catch (error) {
    process.send?.({ error: error instanceof HarkError ? error.code : String(error) });
  }
  process.removeAllListeners("disconnect");
  process.disconnect();
}
