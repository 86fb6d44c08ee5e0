import { expect, test } from "vitest";
import { fallAsleep } from "./fall-asleep.ts";
import type { NotifyGate } from "./notify-gate.ts";

/** Falls asleep at a gate where one transaction may not have seen that it is open. */
function fallAsleepBeside({ isReady = [] as boolean[], isLost = false } = {}) {
  const ended = Promise.withResolvers<string[]>();
  const rung = Promise.withResolvers<void>();
  const stop = new AbortController();
  let waits = 0;
  const gate = {
    open: async () => ["3/14"],
    isOpen: () => !isLost,
    someEnded: () => ((waits += 1), { left: ended.promise, leave: () => (waits -= 1) }),
  };
  const isAnyReady = async () => isReady.shift() ?? false;
  const interruption = { rung: rung.promise, signal: stop.signal };
  const end = fallAsleep(gate as unknown as NotifyGate, "q", isAnyReady, interruption);
  return { end, ended, rung, stop, waits: () => waits };
}

test("it sleeps once the transaction has ended and nothing is ready, and the gate is still open", async () => {
  const quiet = fallAsleepBeside();
  quiet.ended.resolve([]);
  expect(await quiet.end).toBe("asleep");

  const lost = fallAsleepBeside({ isLost: true });
  lost.ended.resolve([]);
  expect(await lost.end).toBe("interrupted");
});

test("it does not sleep if something is ready, before the transaction ends or after", async () => {
  expect(await fallAsleepBeside({ isReady: [true] }).end).toBe("ready");
  const later = fallAsleepBeside({ isReady: [false, true] });
  later.ended.resolve([]);
  expect(await later.end).toBe("ready");
});

test.each(["a wake-up", "its signal"] as const)(
  "%s interrupts the wait for the transaction, which does not count as a ready job",
  async (what) => {
    const { end, rung, stop, waits } = fallAsleepBeside();
    await new Promise((resolve) => setImmediate(resolve));
    expect(waits()).toBe(1);
    if (what === "a wake-up") rung.resolve();
    else stop.abort();
    expect(await end).toBe("interrupted");
    expect(waits()).toBe(0);
  },
);
