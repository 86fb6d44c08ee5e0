import { now } from "../ledger/clock.ts";
import type { LedgerFile } from "../ledger/ledger.ts";

/** How often to look, and how late a look may be, in ms. */
const everyMs = 100;
const lateMs = 500;

/** Writes down when this very process was kept from running: then the machine stood still, and others were kept too. */
export function watchForStalls(ledger: LedgerFile): Disposable {
  let lookedAt = now();
  const timer = setInterval(() => {
    const at = now();
    if (at - lookedAt > everyMs + lateMs) {
      const proof = `a look was ${Math.round(at - lookedAt - everyMs)} ms late`;
      ledger.write({ event: "fault", kind: "stall", target: "server", from: lookedAt, to: at, proof, at: lookedAt });
    }
    lookedAt = at;
  }, everyMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
