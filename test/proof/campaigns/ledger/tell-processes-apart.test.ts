import { expect, test } from "vitest";
import { tellProcessesApart } from "./tell-processes-apart.ts";

test("two processes that had the same id one after the other keep their own entries and registrations", () => {
  const entry = (at: number, pid: number, event: "spawned" | "exited" | "started") => ({ at, pid, event });
  const registered = (id: string, pid: number, startedAt: number) =>
    ({ id, pid, startedAt, expiresAt: startedAt + 3_000, deadAt: null }) as const;
  const { entries, workers } = tellProcessesApart(
    [
      entry(5, 1, "started"), // by the campaign itself
      entry(10, 7, "spawned"),
      entry(20, 7, "started"),
      entry(30, 7, "exited"),
      entry(40, 8, "spawned"),
      entry(50, 7, "spawned"),
      entry(60, 7, "started"),
    ],
    [registered("first", 7, 15), registered("second", 7, 55), registered("other", 8, 45)],
  );

  expect(entries.map(({ pid }) => pid)).toEqual([1, 7, 7, 7, 8, 10_000_007, 10_000_007]);
  expect(workers.map(({ pid }) => pid)).toEqual([7, 10_000_007, 8]);
});
