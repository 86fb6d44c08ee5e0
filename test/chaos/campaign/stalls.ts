import type { LedgerFile } from "../ledger/ledger.ts";

/** How often to look, and how late a look may be, in ms. */
const everyMs = 100;
const lateMs = 500;

/** Writes down when this very process was kept from running: then the machine stood still, and others were kept too. */
export function watchForStalls(ledger: LedgerFile): Disposable {
  let lookedAt = Date.now();
  const timer = setInterval(() => {
    const now = Date.now();
    if (now - lookedAt > everyMs + lateMs) {
      const proof = `a look was ${now - lookedAt - everyMs} ms late`;
      ledger.write({ event: "fault", kind: "stall", target: "server", from: lookedAt, to: now, proof, at: lookedAt });
    }
    lookedAt = now;
  }, everyMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
