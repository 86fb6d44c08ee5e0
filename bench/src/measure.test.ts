import { afterEach, expect, test, vi } from "vitest";
import type { Adapter } from "./adapter.ts";
import { measure, type MeasureOptions } from "./measure.ts";
import type { Scenario } from "./scenario.ts";

/** These adapters keep no jobs: a scenario uses nothing but their names. */
function adapterOf(name: string, close: () => Promise<void> = () => Promise.resolve()): Adapter {
  const nothing = () => Promise.resolve();
  const isEmpty = () => Promise.resolve(true);
  return {
    name,
    store: "redis",
    options: "",
    hasDelay: false,
    prepare: nothing,
    openProducer: () => Promise.resolve({ enqueue: nothing, enqueueMany: nothing, isEmpty, close }),
    startWorker: nothing,
  };
}

const redis = { description: "", fresh: () => Promise.resolve(""), [Symbol.asyncDispose]: () => Promise.resolve() };
const stores = { postgresql: redis, redis } as unknown as MeasureOptions["stores"];

vi.spyOn(console, "log").mockImplementation(() => {});
const told = vi.spyOn(console, "error").mockImplementation(() => {});
afterEach(() => void told.mockClear());

const scenarioOf = (measured: Scenario["measure"]): Scenario => ({
  name: "of:test",
  title: "",
  metrics: [{ key: "perSecond", label: "", unit: "" }],
  deadlineMs: 50,
  measure: measured,
});

test("an adapter that hangs fails at the deadline, is not measured again, and costs the others nothing", async () => {
  const asked: string[] = [];
  const scenario = scenarioOf(({ adapter: { name } }) => {
    asked.push(name);
    return name === "stuck" ? new Promise(() => {}) : Promise.resolve({ perSecond: asked.length });
  });
  const adapters = [adapterOf("one"), adapterOf("stuck"), adapterOf("other")];
  const { adapters: results } = await measure(scenario, { adapters, stores, rounds: 3, isQuick: true });

  expect(asked).toEqual(["one", "stuck", "other", "other", "one", "one", "other"]);
  expect(results.map(({ adapter, medians }) => [adapter, medians?.["perSecond"]])).toEqual([
    ["one", 5],
    ["stuck", undefined],
    ["other", 4],
  ]);
  expect(results[1]!.failure).toBe("stuck: of:test took longer than 50 ms");
});

test("figures are kept even if the adapter fails to close", async () => {
  const adapter = adapterOf("rude", () => Promise.reject(new Error("it will not close")));
  const scenario = scenarioOf(() => Promise.resolve({ perSecond: 7 }));
  const { adapters } = await measure(scenario, { adapters: [adapter], stores, rounds: 1, isQuick: true });

  expect(adapters[0]!.medians).toEqual({ perSecond: 7 });
  expect(told).toHaveBeenCalledOnce();
});

test("server changes made by a scenario are undone when a measurement fails", async () => {
  const restore = vi.fn<() => Promise<void>>(() => Promise.resolve());
  const scenario = {
    ...scenarioOf(() => Promise.reject(new Error("it failed"))),
    arrange: () => Promise.resolve(restore),
  };
  const { adapters } = await measure(scenario, { adapters: [adapterOf("one")], stores, rounds: 1, isQuick: true });

  expect(adapters[0]!.failure).toBe("it failed");
  expect(restore).toHaveBeenCalledOnce();
});
