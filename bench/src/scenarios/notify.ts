import { openPool } from "../pool.ts";
import type { Run } from "../run.ts";
import type { Scenario } from "../scenario.ts";
import { callFor } from "./callers.ts";

const callers = 16;
const capacity = 1_000_000;
/** A job that keeps a worker busy without taking CPU from the callers. */
const busyJobMs = 20;

/**
 * With the trigger and without it, in an order in which a machine that gets slower or faster
 * affects both alike.
 */
const inTurn = Array.from({ length: 6 }, () => ["off", "on", "on", "off"] as const).flat();

/**
 * Single-row inserts by plain SQL, each in a transaction of its own: with the notifications of the
 * trigger, and without. All are in one run, so that the disk is the same for all.
 */
async function notify(run: Run): Promise<Record<string, number>> {
  const { disableTriggers, enableTriggers } = run.adapter.sql!;
  const forMs = run.isQuick ? 2_000 : 4_000;
  const turnMs = run.isQuick ? 250 : 1_000; // with 8 turns, also of 3 s, the ratio varied from 0.86 to 0.97
  const pool = openPool(run.url, callers);
  let sent = 0;
  const insertFor = async (ms: number = forMs): Promise<number> => {
    const made = await callFor(callers, { from: sent, forMs: ms }, (n) =>
      pool.query({ name: "insert", text: run.adapter.sql!.insert!, values: [JSON.stringify({ n })] }),
    );
    sent += made.sent;
    return made.perSecond;
  };
  try {
    await run.settleServer();
    const figures: Record<string, number> = { noWorker: await insertFor() };
    if (disableTriggers) {
      await run.query(disableTriggers);
      figures.noWorkerNoTrigger = await insertFor();
    }
    await run.loadWorkers(1);
    await run.startWorkers({ capacity });
    await run.expectHandled(sent, 60_000);
    // Without the trigger a busy worker still finds the jobs: it claims again as soon as a slot is
    // free.
    const busyMs = disableTriggers ? turnMs * inTurn.length : 2 * forMs;
    const busyJobs = Math.ceil((busyMs / busyJobMs) * 20);
    const busyFrom = sent;
    sent += busyJobs;
    await run.load(busyFrom, sent, { ms: busyJobMs });
    if (disableTriggers) {
      const rates = { on: 0, off: 0 };
      for (const trigger of inTurn) {
        await run.query(trigger === "on" ? enableTriggers! : disableTriggers);
        rates[trigger] += (await insertFor(turnMs)) / (inTurn.length / 2);
      }
      await run.query(enableTriggers!);
      figures.busyNoTrigger = rates.off;
      figures.busy = rates.on;
    } else figures.busy = await insertFor();
    await run.expectHandled(sent, 60_000);
    // The queue is empty now: the worker sleeps until one of these jobs wakes it.
    figures.idle = await insertFor();
    const isComplete = await run.untilHandled(sent, 60_000);
    await run.tally({ jobs: isComplete ? sent : 0 });
    if (figures.busyNoTrigger !== undefined) figures.busyToNoTrigger = figures.busy / figures.busyNoTrigger;
    return figures;
  } finally {
    await pool.end();
  }
}

export const notifies: readonly Scenario[] = [
  {
    name: "notify",
    title: "Single-row inserts by plain SQL, 16 callers",
    metrics: [
      { key: "busy", label: "worker busy", unit: "/s" },
      { key: "busyNoTrigger", label: "worker busy, no trigger", unit: "/s" },
      { key: "busyToNoTrigger", label: "busy : no trigger", unit: "" },
      { key: "idle", label: "worker idle at first", unit: "/s" },
      { key: "noWorker", label: "no worker", unit: "/s" },
      { key: "noWorkerNoTrigger", label: "no worker, no trigger", unit: "/s" },
    ],
    rounds: 1, // its figure is a ratio within the run
    fits: ({ sql, isDefault, isCeiling }) => sql?.insert !== undefined && !isDefault && !isCeiling,
    measure: notify,
  },
];
