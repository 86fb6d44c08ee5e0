import pg from "pg";
import { vi } from "vitest";

// oxlint-disable-next-line typescript/unbound-method -- it is called with its own `this`
const original = pg.Client.prototype.query;

/**
 * Counts the statements that this process sends, by name, and shows each to `sees` with its values
 * and text. Lease renewals come from their own thread.
 */
export function countStatements(sees: (name: string, values: readonly unknown[], text: string) => void = () => {}): {
  readonly sent: Map<string, number>;
  readonly end: () => void;
} {
  const sent = new Map<string, number>();
  const spy = vi.spyOn(pg.Client.prototype, "query").mockImplementation(function (this: pg.Client, ...args: unknown[]) {
    const { name: prepared = "unnamed", values = [], text = "" } = (args[0] ?? {}) as Partial<pg.QueryConfig>;
    const name = codeName(prepared);
    sent.set(name, (sent.get(name) ?? 0) + 1);
    sees(name, values, text);
    return original.apply(this, args as never) as never;
  });
  return { sent, end: () => spy.mockRestore() };
}

/** The name of a statement as it stands in the code, of the name that it is prepared under. */
export function codeName(prepared: string): string {
  return prepared.replace(/^hark_(.*)_[0-9a-f]{8}$/, "$1");
}
