import { silentLogger } from "@hark/core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SessionEndedError } from "./listen-session.ts";
import { RateLimitedLog } from "./rate-limited-log.ts";
import { defaultDeadlines, Reconnect, type Session } from "./reconnect.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("a doubt makes a second session prove that notifications arrive, and a session that hears nothing is left", async () => {
  let hearsNothing = false;
  let sessions = 0;
  let proofs = 0;
  const lost: string[] = [];
  const newSession = (): Session => {
    sessions += 1;
    let end: (reason: Error) => void = () => {};
    return {
      mayBeLeft: false,
      open: () => Promise.resolve(),
      ping: () => Promise.resolve(),
      probe: () => {
        proofs += 1;
        return hearsNothing ? Promise.reject(new SessionEndedError("silent", "LISTEN is silent")) : Promise.resolve(0);
      },
      beat: () =>
        new Promise((resolve, reject) => {
          end = reject;
          setTimeout(resolve, 1_000);
        }),
      close: async () => end(new SessionEndedError("closed", "the listener was closed")),
    };
  };
  const reconnect = new Reconnect({
    newSession,
    deadlines: defaultDeadlines,
    log: new RateLimitedLog(silentLogger),
    onConnected: () => {},
    onMissing: () => {},
    onListening: () => {},
    onLost: (state) => lost.push(state),
  });
  reconnect.start();
  await vi.advanceTimersByTimeAsync(60_000);
  expect([sessions, proofs]).toEqual([1, 1]);

  reconnect.doubt();
  await vi.advanceTimersByTimeAsync(1_000);
  expect([sessions, proofs, lost]).toEqual([1, 2, []]);
  reconnect.doubt(); // so soon after a proof, it takes no second connection
  await vi.advanceTimersByTimeAsync(5_000);
  expect(proofs).toBe(2);

  await vi.advanceTimersByTimeAsync(5_000);
  hearsNothing = true;
  reconnect.doubt();
  await vi.advanceTimersByTimeAsync(1_000);
  expect([sessions, lost]).toEqual([1, ["connecting"]]);
  hearsNothing = false;
  await vi.advanceTimersByTimeAsync(500);
  expect(sessions).toBe(2);
  await Promise.all([reconnect.close(), vi.advanceTimersByTimeAsync(1_000)]);
});
