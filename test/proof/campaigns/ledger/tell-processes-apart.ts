import type { Entry } from "./entries.ts";
import type { FinalWorker } from "./final-state.ts";

/** Above every process number of a machine. */
const allPids = 10_000_000;

/**
 * The machine reuses a process id some minutes after its process has ended, which happens within
 * half an hour. Returns the entries, in order of time, and the workers, with a unique number for
 * each process. The second process with an id gets `allPids` added, and so on.
 */
export function tellProcessesApart<Told extends Pick<Entry, "at" | "pid" | "event">>(
  entries: readonly Told[],
  workers: readonly FinalWorker[],
): { entries: Told[]; workers: FinalWorker[] } {
  const spawnedAt = new Map<number, number[]>();
  for (const { event, pid, at } of entries) {
    if (event === "spawned") spawnedAt.set(pid, [...(spawnedAt.get(pid) ?? []), at]);
  }
  const ownNumber = (pid: number, at: number) => {
    const former = (spawnedAt.get(pid) ?? []).filter((spawned) => spawned <= at).length - 1;
    return pid + Math.max(former, 0) * allPids;
  };
  return {
    entries: entries.map((entry) => ({ ...entry, pid: ownNumber(entry.pid, entry.at) })),
    workers: workers.map((worker) => ({ ...worker, pid: ownNumber(worker.pid, worker.startedAt) })),
  };
}
