import { defineJob } from "@hark/core";
import { implement } from "@hark/worker";
import { percentile, type Workbench } from "../workbench.ts";

const samples = 500;

/** Idle start latency: from the call of enqueue() to the start of the handler in an idle worker, one job at a time, in ms. */
export async function latency({ producer, startWorker }: Workbench): Promise<Record<string, number>> {
  const started = new Map<number, (at: number) => void>();
  const ping = defineJob("bench.ping");
  await using _worker = await startWorker([
    implement(ping, ({ payload }) => started.get((payload as { n: number }).n)?.(performance.now())),
  ]);
  const latencies: number[] = [];
  for (let n = 0; n < samples; n += 1) {
    const start = Promise.withResolvers<number>();
    started.set(n, start.resolve);
    const calledAt = performance.now();
    await producer.enqueue(ping, { n });
    latencies.push((await start.promise) - calledAt);
    // Let it fall asleep: the next job shall find an idle worker.
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return { p50Ms: percentile(latencies, 0.5), p99Ms: percentile(latencies, 0.99) };
}
