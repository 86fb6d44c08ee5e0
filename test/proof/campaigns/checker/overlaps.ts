import type { EntryOf } from "../ledger/entries.ts";
import type { Study } from "./study.ts";

type Start = EntryOf<"started">;

/** Two runs of jobs with one key: `run` started before `former` had ended. */
export interface Overlap {
  readonly key: string;
  readonly former: Start;
  readonly run: Start;
}

/** Runs that overlapped another run of their key. A run ends with its handler or its process. */
export function overlaps(study: Study, runs: readonly Start[]): Overlap[] {
  const found: Overlap[] = [];
  for (const [key, sameKey] of Map.groupBy(runs, (run) => run.key)) {
    if (key === undefined) continue;
    let open: { start: Start; endedAt: number }[] = [];
    for (const run of sameKey) {
      open = open.filter(({ endedAt }) => endedAt > run.at);
      for (const { start } of open) found.push({ key, former: start, run });
      open.push({ start: run, endedAt: endOf(study, run) });
    }
  }
  return found;
}

function endOf(study: Study, { id, token, pid }: Start): number {
  return study.ends.get(`${id} ${token}`)?.at ?? study.exitOf(pid)?.at ?? Number.POSITIVE_INFINITY;
}
