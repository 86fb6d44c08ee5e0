/** A process for tests: migrates each database whose URL it is sent, and reports the result. */
import { HarkError, migrate } from "@hark/core";

process.once("disconnect", () => process.exit());
process.on("message", (connectionString: string) => void run(connectionString));
process.send?.("ready");

async function run(connectionString: string): Promise<void> {
  try {
    process.send?.({ applied: await migrate({ connectionString }) });
  } catch (error) {
    process.send?.({ error: error instanceof HarkError ? error.code : String(error) });
  }
}
