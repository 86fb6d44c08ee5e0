import { silentLogger } from "@hark/core";
import { expect, test } from "vitest";
import type { Gate, Writers } from "./gate.ts";
import { Sleeper } from "./sleeper.ts";

/** A gate without a database: `writers` stay open, for as long as they stand here. */
class StubGate {
  writers: Writers = [];
  isMarked = false;
  arm = async () => ((this.isMarked = true), this.writers);
  stillOpen = async (writers: Writers) => writers.filter((writer) => this.writers.includes(writer));
  isArmed = () => this.isMarked;
  disarm = () => void (this.isMarked = false);
}

const never = new Promise<void>(() => {});
const nothing = async () => false;

function sleeperAt(gate: StubGate): Sleeper {
  return new Sleeper({ queue: "q", gate: gate as unknown as Gate, isListening: () => true, logger: silentLogger });
}

test("a look that fails after a new mark is no reason to believe that all writers have ended", async () => {
  const gate = new StubGate();
  const sleeper = sleeperAt(gate);
  const { signal } = new AbortController();
  await sleeper.rest(0, nothing, { rung: never, signal });
  expect(sleeper.isAsleep).toBe(true);

  gate.isMarked = false; // its session is lost, and the sleeper rung
  sleeper.wake();
  gate.writers = ["3/14"];
  const failing = () => Promise.reject(new Error("no answer"));
  await expect(sleeper.rest(0, failing, { rung: never, signal })).rejects.toThrow("no answer");

  const ended = sleeper.rest(0, nothing, { rung: never, signal });
  expect(await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 50, "still looking"))])).toBe(
    "still looking",
  );
  expect(sleeper.isAsleep).toBe(false);
  gate.writers = [];
  expect(await ended).toBe("rest");
  expect(sleeper.isAsleep).toBe(true);
});
