import { setTimeout as sleep } from "node:timers/promises";
import type { Payload } from "../adapter.ts";
import { nowMs } from "../clock.ts";
import type { Run } from "../run.ts";
import type { Sample } from "../statistics.ts";

const batch = 200;
const lanes = 2;
/** Once so many jobs wait, the producer rests: it shall feed the worker, not bury it. */
const backlog = 20_000;

/** How long what waits at the end may take to drain, in ms. */
const drainMs = 30_000;

export interface FlowOptions {
  /** The number of the first job. */
  readonly from?: number;
  /** How many jobs to enqueue at most. */
  readonly jobs: number;
  /** When to stop enqueueing, in ms from now; the samples end there. */
  readonly forMs: number;
  readonly extra?: Omit<Payload, "n">;
}

export interface Flow {
  /** How many jobs had been handled, every few ms from the first batch to the last: draining alone is no part of it. */
  readonly samples: readonly Sample[];
  readonly sent: number;
  /** Whether all of them were handled in the end; false of an adapter too slow to drain what it was fed. */
  readonly isComplete: boolean;
}

/**
 * Two lanes enqueue batches while the workers drain, until there are `jobs` or the time is over; then what waits is drained.
 */
export async function flow(run: Run, { from = 0, jobs, forMs, extra }: FlowOptions): Promise<Flow> {
  const handledBefore = run.handled;
  const startedAt = nowMs();
  const endAt = startedAt + forMs;
  const samples: Sample[] = [];
  let sent = 0;
  const handled = (): number => run.handled - handledBefore;
  const isFeeding = (): boolean => sent < jobs && nowMs() < endAt;
  const feeding = Promise.all(
    Array.from({ length: lanes }, async () => {
      while (isFeeding()) {
        if (sent - handled() > backlog) {
          await sleep(1);
          continue;
        }
        const first = from + sent;
        const size = Math.min(batch, jobs - sent);
        sent += size;
        await run.producer.enqueueMany(Array.from({ length: size }, (_, n) => ({ n: first + n, ...extra })));
      }
    }),
  );
  while (isFeeding()) {
    samples.push({ atMs: nowMs(), count: handled() });
    run.throwIfFailed();
    await sleep(5);
  }
  samples.push({ atMs: nowMs(), count: handled() });
  await feeding;
  const isComplete = await run.untilHandled(handledBefore + sent, drainMs);
  return { samples, sent, isComplete };
}
