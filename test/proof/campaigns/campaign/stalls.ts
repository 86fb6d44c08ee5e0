import { now } from "../ledger/clock.ts";
import type { LedgerFile } from "../ledger/ledger.ts";

/** How often to look, and how late a look may be, in ms. */
const everyMs = 100;
const lateMs = 500;

/**
 * Records when this process could not run. Then the machine stood still, and other processes could
 * not run either.
 */
export function watchForStalls(ledger: LedgerFile): Disposable {
  let lookedAt = now();
  const timer = setInterval(() => {
    const at = now();
    if (at - lookedAt > everyMs + lateMs) {
      const proof = `a check was ${Math.round(at - lookedAt - everyMs)} ms late`;
      ledger.write({ event: "fault", kind: "stall", target: "server", from: lookedAt, to: at, proof, at: lookedAt });
    }
    lookedAt = at;
  }, everyMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
