import type { statements } from "@hark/core/internal";
import type { Executor } from "../run/executor.ts";

/**
 * Gives claimed jobs to the executor. They go back if they may not start, because the lease of
 * their claim is lost or claiming has stopped.
 */
export function handOver(
  { jobs, mayStart }: { jobs: readonly statements.ClaimedJob[]; mayStart: boolean },
  executor: Pick<Executor, "submit" | "handBack">,
): void {
  for (const job of jobs) {
    if (mayStart) executor.submit(job);
    else executor.handBack(job);
  }
}
