import type { Queryable } from "../../database.ts";
import { codeOf } from "../../sqlstate.ts";
import type { Completions } from "../settle/complete-jobs.ts";
import { asId } from "../statement.ts";
import { claimContendedJobsByType } from "./claim-contended-jobs-by-type.ts";
import { claimContendedJobs } from "./claim-contended-jobs.ts";
import { claimHinderedJobs } from "./claim-hindered-jobs.ts";
import { claimReadyJobs } from "./claim-jobs.ts";
import { claimPlainJobsByType } from "./claim-plain-jobs-by-type.ts";
import { claimPlainJobs } from "./claim-plain-jobs.ts";
import type { ClaimPosition, ClaimRequest, ClaimRow } from "./claim-request.ts";
import { settleAndClaimReadyJobs } from "./settle-and-claim-jobs.ts";
import { urgencyByType } from "./urgency-by-type.ts";

/** A job in a worker's hands. */
export interface ClaimedJob {
  readonly id: bigint;
  readonly queue: string;
  readonly type: string;
  readonly payload: unknown;
  readonly priority: number;
  /** From 1, this one included. */
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly crashCount: number;
  readonly key: string | undefined;
  /** Others of its key may wait parked until it ends; see complete-and-claim-next.ts. */
  readonly handsOff: boolean;
  readonly token: string;
}

/** A row of the kind "job" of any claim. */
export function claimedJobOf(
  row: Extract<ClaimRow, { kind: "job" }>,
  { queue, token }: { queue: string; token: string },
): ClaimedJob {
  return {
    id: asId(row.id),
    queue,
    type: row.type,
    payload: row.payload,
    priority: row.priority,
    attempt: row.attempt,
    maxAttempts: row.max_attempts,
    crashCount: row.crash_count,
    key: row.key ?? undefined,
    handsOff: row.hands_off,
    token,
  };
}

/** Whether this job may start before the disk has its claim, see {@link claimPlainJobs}. */
export const isPlain = ({ key, maxAttempts }: Pick<ClaimedJob, "key" | "maxAttempts">): boolean =>
  key === undefined && maxAttempts > 1;

export interface ClaimAnswer {
  /** The most urgent first. */
  readonly jobs: ClaimedJob[];
  /**
   * Keys that are running while ready jobs of theirs wait: they are to be parked, see park-jobs.ts.
   */
  readonly blockedKeys: string[];
  /**
   * Of the jobs that this claim was to settle: those whose own claim no longer held, so that
   * nothing of them was touched.
   */
  readonly refused: ReadonlySet<bigint>;
  /** Other workers live. A claim of plain jobs alone does not tell. */
  readonly hasOthers: boolean;
  /** Jobs that were not looked at may stand behind those that were. */
  readonly mayHideMore: boolean;
  /**
   * The claim is committed, but not on the server's disk yet: a crash of the server in the next
   * moment undoes it.
   */
  readonly isDeferred: boolean;
}

/** The lowest and the highest priority there is: an integer's. */
const anyPriority = -2_147_483_648;
const highestPriority = 2_147_483_647;

/**
 * Claims ready jobs of a queue, under one new token. With `completions` it settles those jobs in
 * the same commit.
 */
export async function claimJobs(
  db: Queryable,
  { after, mayDefer = false, isContended = false, isHindered = false, ...request }: ClaimRequest,
  completions?: Completions,
): Promise<ClaimAnswer> {
  const claim = { ...request, leastPriority: after?.priority ?? anyPriority, afterId: after?.id ?? 0n };
  if (completions) return answerOf(await settleAndClaimReadyJobs(db, { ...claim, ...completions }), request);
  if (mayDefer) {
    const rows = await claimPlainJobs(db, claim);
    if (rows[0]?.kind !== "not plain") return { ...answerOf(rows, request), isDeferred: true };
  }
  const jobs = isHindered ? claimHinderedJobs : isContended ? claimContendedJobs : claimReadyJobs;
  return answerOf(await jobs(db, claim), request);
}

/**
 * Whether a claim failed because another took one of its keys at the same moment. Nothing was
 * claimed: claim again with `isContended`.
 */
export const isKeyContended = (error: unknown): boolean =>
  codeOf(error) === "23505" && (error as { constraint?: unknown }).constraint === "running_jobs_key";

/** Where each type's claim starts. A type that is missing is looked at from its start. */
export type ClaimPositions = ReadonlyMap<string, ClaimPosition>;

/**
 * Claims as {@link claimJobs} does, but looks for each type by itself: for a queue whose head is
 * full of jobs that this worker does not run. No job is taken while one with a higher priority of
 * these types is ready. Those of one priority come in the order of their age within each type. It
 * may find fewer jobs than are ready, but finds none only if there is none, or others hold them
 * all. It steps over keys that other claims take at the same moment.
 */
export async function claimJobsByType(
  db: Queryable,
  {
    after,
    mayDefer = false,
    ...request
  }: Omit<ClaimRequest, "after" | "isContended" | "isHindered"> & { readonly after?: ClaimPositions | undefined },
): Promise<ClaimAnswer> {
  const { types } = request;
  const leastPriorities = types.map((type) => after?.get(type)?.priority ?? anyPriority);
  const afterIds = types.map((type) => after?.get(type)?.id ?? 0n);
  // Each look that finds nothing has covered at least one priority, so this ends.
  for (let mostPriority = highestPriority; ;) {
    const claim = { ...request, leastPriorities, afterIds, mostPriority };
    const plain = mayDefer ? await claimPlainJobsByType(db, claim) : undefined;
    const isDeferred = plain !== undefined && plain[0]?.kind !== "not plain";
    const answer = { ...answerOf(isDeferred ? plain : await claimContendedJobsByType(db, claim), request), isDeferred };
    if (answer.jobs.length > 0) return { ...answer, mayHideMore: true };
    const [, second] = await urgencyByType(db, claim);
    if (second === undefined || second.priority === anyPriority) return answer;
    mostPriority = second.priority - 1;
  }
}

function answerOf(rows: readonly ClaimRow[], claim: Pick<ClaimRequest, "queue" | "token">): ClaimAnswer {
  const jobs: ClaimedJob[] = [];
  const blockedKeys: string[] = [];
  const refused = new Set<bigint>();
  let mayHideMore = false;
  let hasOthers = false;
  for (const row of rows) {
    if (row.kind === "job") jobs.push(claimedJobOf(row, claim));
    else if (row.kind === "blocked") blockedKeys.push(row.key);
    else if (row.kind === "refused") refused.add(asId(row.id));
    else if (row.kind === "more") mayHideMore = true;
    else if (row.kind === "others") hasOthers = true;
  }
  // The database returns them in the order in which it deleted them, or by keys.
  jobs.sort((one, other) => other.priority - one.priority || (one.id < other.id ? -1 : 1));
  return { jobs, blockedKeys, refused, mayHideMore, hasOthers, isDeferred: false };
}
