import { setImmediate as yieldOnce, setTimeout as sleep } from "node:timers/promises";
import type { Payload } from "./adapter.ts";
import { adapterNamed } from "./adapters/index.ts";
import { nowMs } from "./clock.ts";
import { KeyWatch } from "./key-watch.ts";
import type { Notice, Order } from "./worker-protocol.ts";

/**
 * How often this process reports its progress, in ms: rare enough to cost nothing, often enough to
 * time the end.
 */
const progressMs = 5;

let counts = new Uint8Array();
let startedAt = new Float64Array();
let endedAt = new Float64Array();
let handled = 0;
let keys = new KeyWatch();
let telling: NodeJS.Timeout | undefined;

/** The handler of every adapter. It counts in memory, at the same cost for all of them. */
function handle({ n, ms, key, yields }: Payload): Promise<void> | void {
  startedAt[n] = nowMs();
  if (key !== undefined) keys.begin(key);
  if (yields === true) return yieldOnce().then(() => finish(n, key));
  if (ms !== undefined) return sleep(ms).then(() => finish(n, key));
  finish(n, key);
}

function finish(n: number, key: string | undefined): void {
  if (key !== undefined) keys.end(key);
  endedAt[n] = nowMs();
  counts[n]! += 1;
  handled += 1;
  telling ??= setTimeout(tellProgress, progressMs);
}

/**
 * Scheduled only once a job was handled. A timer that always runs costs half a percent of a core,
 * more than an idle worker.
 */
function tellProgress(): void {
  telling = undefined;
  tell({ kind: "progress", handled });
}

async function obey(order: Order): Promise<void> {
  switch (order.kind) {
    case "start": {
      counts = new Uint8Array(order.capacity);
      // If the times are not needed, writes go past the end of an empty array, which ignores them.
      startedAt = new Float64Array(order.isTimed ? order.capacity : 0);
      endedAt = new Float64Array(order.isTimed ? order.capacity : 0);
      keys = new KeyWatch();
      const adapter = adapterNamed(order.adapter);
      for (let n = 0; n < order.workers; n += 1) await adapter.startWorker(order.url, handle, order.workload);
      return tell({ kind: "started" });
    }
    case "usage":
      return tell({ kind: "usage", cpuMicros: cpuMicros() });
    case "report": {
      globalThis.gc?.();
      const heapBytes = process.memoryUsage().heapUsed;
      const { overlaps } = keys;
      return tell({ kind: "report", counts, startedAt, endedAt, overlaps, cpuMicros: cpuMicros(), heapBytes });
    }
  }
}

function cpuMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

function tell(notice: Notice): void {
  process.send?.(notice);
}

process.on("disconnect", () => process.exit());
process.on("message", (order: Order) => {
  obey(order).catch((error: unknown) =>
    tell({ kind: "failed", message: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});
tell({ kind: "loaded" });
