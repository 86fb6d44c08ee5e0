import type { Logger } from "@hark/core";
import type { LedgerFile } from "../ledger/ledger.ts";

/**
 * A logger that records what a worker logs about itself and its connections, and passes everything
 * on. It leaves out single jobs, since the ledger has their outcomes.
 */
export function witness(ledger: LedgerFile, to: Logger, bound: object = {}): Logger {
  const note = (level: "debug" | "info" | "warn" | "error") => (given: object, says: string) => {
    to[level](given, says);
    const facts: Record<string, unknown> = { ...bound, ...given };
    if ("jobId" in facts) return;
    if ("error" in facts) facts["error"] = briefly(facts["error"]);
    ledger.write({ event: "logged", says, facts });
  };
  return {
    debug: note("debug"),
    info: note("info"),
    warn: note("warn"),
    error: note("error"),
    child: (facts) => witness(ledger, to.child(facts), { ...bound, ...facts }),
  };
}

const briefly = (error: unknown): string =>
  typeof error === "object" && error !== null && "message" in error ? String(error.message) : String(error);
