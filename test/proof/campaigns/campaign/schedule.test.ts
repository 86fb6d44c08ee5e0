import { expect, test } from "vitest";
import { type PlannedKind, planFaults, type ScheduleOptions } from "./schedule.ts";

const options: ScheduleOptions = {
  seed: 1,
  stormMs: 120_000,
  leaseMs: 3_000,
  workers: ["worker-1", "worker-2"],
  others: ["producer-1", "locker-1", "api"],
  hasStandby: true,
  hasPooler: true,
  hasSmallDisk: true,
};

test("one seed gives one schedule, and another seed another", () => {
  expect(planFaults(options)).toEqual(planFaults(options));
  expect(planFaults({ ...options, seed: 2 })).not.toEqual(planFaults(options));
});

test("two minutes include every kind of fault, one promotion, and none after the storm", () => {
  const plan = planFaults(options);
  expect(new Set(plan.map(({ kind }) => kind)).size).toBe(22);
  expect(plan.filter(({ kind }) => kind === "promote")).toHaveLength(1);
  expect(plan.every(({ atMs }) => atMs >= 0 && atMs < options.stormMs)).toBe(true);
});

test("no promotion without a standby, no killed pooler without a pooler, no full disk without a small disk", () => {
  const plan = planFaults({ ...options, hasStandby: false, hasPooler: false, hasSmallDisk: false });
  const kinds = new Set(plan.map(({ kind }) => kind));
  expect(["promote", "pooler killed", "disk full"].filter((kind) => kinds.has(kind as PlannedKind))).toEqual([]);
});

test("only the kinds that were asked for", () => {
  const plan = planFaults({ ...options, only: ["kill", "stop"] });
  expect(new Set(plan.map(({ kind }) => kind))).toEqual(new Set(["kill", "stop"]));
});

test("the server is not taken down while it is down, and no process is hit twice at once", () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const plan = planFaults({ ...options, seed });
    const ofServer = plan.filter(
      ({ kind }) => kind === "crash" || kind === "restart" || kind === "promote" || kind === "disk full",
    );
    for (const [place, fault] of ofServer.entries()) {
      const next = ofServer[place + 1];
      if (next) expect(next.atMs - fault.atMs - fault.forMs).toBeGreaterThan(2_000);
    }
    for (const [target, faults] of Map.groupBy(plan, (fault) => fault.target)) {
      if (target === "server") continue;
      for (const [place, { atMs, forMs }] of faults.entries())
        expect(faults[place + 1]?.atMs ?? Number.POSITIVE_INFINITY).toBeGreaterThanOrEqual(atMs + forMs);
    }
  }
});
