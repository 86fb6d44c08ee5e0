import { statements } from "@hark/core/internal";
import { expect, test } from "vitest";
import { hark } from "./hark.ts";

// Stages are recognised by the text of the statements. If a text changed, it would silently count
// as another stage.
test("every statement that moves a job counts for its own stage", () => {
  const { insertJobs, claimReadyJobs, claimContendedJobs, claimHinderedJobs, claimPlainJobs } = statements;
  const { settleAndClaimReadyJobs, completeAndClaimNextRows, completeJobs } = statements;
  const claims = [claimReadyJobs, claimContendedJobs, claimHinderedJobs, claimPlainJobs];
  const settles = [settleAndClaimReadyJobs, completeAndClaimNextRows, completeJobs];
  const stages = [insertJobs, ...claims, ...settles].map(({ statementName, text }) => [
    statementName,
    hark.stageOf?.(text),
  ]);
  expect(stages).toEqual([
    ["insert-jobs", "enqueue"],
    ["claim-jobs", "claim"],
    ["claim-contended-jobs", "claim"],
    ["claim-hindered-jobs", "claim"],
    ["claim-plain-jobs", "claim"],
    ["settle-and-claim-jobs", "settle and claim in one"],
    ["complete-and-claim-next", "settle and claim in one"],
    ["complete-jobs", "settle"],
  ]);
  expect(hark.stageOf?.(statements.renewLease.text)).toBeUndefined();
});
