import type { Does, EntryOf } from "../ledger/entries.ts";
import type { FinalAttempt } from "../ledger/final-state.ts";
import { graceEnd } from "./grace.ts";
import type { Invariant } from "./invariant.ts";
import { overlaps } from "./overlaps.ts";
import { type Claim, clockMs, type Study } from "./study.ts";
import { undoneGraceEnd, undoneRuns } from "./undone.ts";

/** Invariants on runs: a running job has one owner, and every second run has a reason. */
export const runInvariants: Invariant[] = [
  {
    id: "S4",
    says: "no two claims of a job hold at once, and no worker is declared dead before its lease ran out",
    breaches(study) {
      const found: string[] = [];
      for (const [id, claims] of study.claims) {
        for (const [place, claim] of claims.entries()) {
          const former = claims[place - 1];
          if (former && former.endedAt > claim.startedAt)
            found.push(`job ${id} was claimed as ${claim.token} while ${former.token} held it`);
        }
      }
      for (const { id, expiresAt, deadAt } of study.workers.values()) {
        if (deadAt !== null && deadAt < expiresAt)
          found.push(`worker ${id} was declared dead ${Math.round(expiresAt - deadAt)} ms before its lease ran out`);
      }
      return found;
    },
  },
  {
    id: "S5",
    says: "a claim's token is unique, and its job starts under it at most once",
    breaches(study) {
      const found: string[] = [];
      for (const [id, starts] of study.starts) {
        for (const [token, sameToken] of Map.groupBy(starts, (start) => start.token)) {
          if (sameToken.length > 1) found.push(`job ${id} started ${sameToken.length} times under ${token}`);
        }
      }
      for (const [id, claims] of study.claims) {
        const tokens = claims.map(({ token }) => token);
        if (new Set(tokens).size < tokens.length) found.push(`job ${id}: two of its claims had the same token`);
      }
      return found;
    },
  },
  {
    id: "S7",
    says: "every run but the last and every death of a worker is explained",
    breaches: (study) => [...unexplainedRuns(study), ...unexplainedDeaths(study)],
  },
  {
    id: "S8",
    says: "no run begins under a claim that the database does not know, unless a crash undid it, or long after it was lost",
    breaches(study) {
      const found: string[] = [];
      const undone = undoneRuns(study);
      for (const [id, starts] of study.starts) {
        const claims = new Map((study.claims.get(id) ?? []).map((claim) => [claim.token, claim]));
        for (const start of starts) {
          const { token, at, pid } = start;
          const claim = claims.get(token);
          if (!claim) {
            if (!undone.has(start)) found.push(`job ${id} started under ${token}, which the database does not know`);
          } else if (at > graceEnd(study, claim.endedAt, pid))
            found.push(
              `job ${id} started ${Math.round(at - claim.endedAt)} ms after its claim ended (${claim.ending})`,
            );
        }
      }
      return found;
    },
  },
  {
    id: "S10",
    says: "nothing starts before it is due, and retries wait as long as they should",
    breaches(study) {
      const found: string[] = [];
      const { baseMs, factor, capMs, jitter } = study.promises.backoff;
      for (const job of study.final.jobs) {
        const claims = study.claims.get(job.id) ?? [];
        const delayMs = study.wishes.get(job.ref ?? "")?.delayMs ?? 0;
        const [first] = claims;
        if (first && first.startedAt < job.createdAt + delayMs)
          found.push(`job ${job.id} started ${Math.round(job.createdAt + delayMs - first.startedAt)} ms early`);
        for (const row of study.attempts.get(job.id) ?? []) {
          if (row.retryAt === null) continue;
          const next = claims.find(({ startedAt }) => startedAt >= row.finishedAt);
          if (next && next.startedAt < row.retryAt)
            found.push(`job ${job.id} was retried ${Math.round(row.retryAt - next.startedAt)} ms early`);
          if (row.ending !== "error") continue;
          const waitMs = row.retryAt - row.finishedAt;
          const wantedMs = Math.min(baseMs * factor ** (row.attempt - 1), capMs);
          const longestMs = wantedMs * (1 + jitter) + clockMs;
          // The time of the end is read last in its statement.
          if (
            (waitMs > longestMs && waitMs > longestMs + stretchMs(study, row)) ||
            waitMs < wantedMs * (1 - jitter) - statementMs
          )
            found.push(`job ${job.id} waits ${Math.round(waitMs)} ms after attempt ${row.attempt}, not ${wantedMs}`);
        }
      }
      return found;
    },
  },
  {
    id: "S12k",
    says: "no two jobs of one key run at once, unless the first has lost its claim",
    breaches(study) {
      const found: string[] = [];
      const withKey = study.of("started").filter(({ key }) => key !== undefined);
      for (const { key, former, run } of overlaps(study, withKey)) {
        const begun = claimOf(study, run.id, run.token);
        const lost = claimOf(study, former.id, former.token);
        // A process that stood still may begin, or continue, a job that others have done since.
        const wasLost = begun && lost && (hasEnded(lost, former.does, begun) || hasEnded(begun, run.does, lost));
        if (!wasLost) found.push(`key ${key}: job ${run.id} started while job ${former.id} ran`);
      }
      return found;
    },
  },
  {
    id: "A1",
    says: "a handler whose claim is lost is told so",
    breaches: (study) => [...untoldOfRescues(study), ...untoldOfCrashes(study)],
  },
];

/**
 * How much longer than its backoff a retry may wait, in ms, because other failures of its process
 * come first.
 */
function stretchMs(study: Study, { id, token }: FinalAttempt): number {
  const { backoff, retryBudget } = study.promises;
  const end = study.ends.get(`${id} ${token}`);
  if (!end) return 0;
  const since = end.at - backoff.capMs * (1 + backoff.jitter) - retryBudget.stretchMs; // retries of earlier failures are due already
  const failures = study
    .of("ended")
    .filter(({ how, pid, at }) => how === "threw" && pid === end.pid && at >= since && at <= end.at);
  const full = Math.floor((failures.length - 1) / retryBudget.free); // without this one
  return full === 0 ? 0 : Math.min((full + 1) * retryBudget.inMs, retryBudget.stretchMs);
}

/** How long a statement that settles may take, in ms. */
const statementMs = 150;

/**
 * Whether a claim was lost before another began. A job that completes in its handler's own
 * transaction frees its key before the handler returns.
 */
function hasEnded(claim: Claim, does: Does, other: Claim): boolean {
  return (claim.ending !== "completed" || does === "effect") && claim.endedAt <= other.startedAt;
}

function claimOf(study: Study, id: string, token: string): Claim | undefined {
  return study.claims.get(id)?.find((claim) => claim.token === token);
}

/** When a run ended: the end of its handler or of its process. */
function goesOnUntil(study: Study, { id, token, pid }: EntryOf<"started">): number {
  const { at = Number.POSITIVE_INFINITY } = study.ends.get(`${id} ${token}`) ?? {};
  return Math.min(at, study.exitOf(pid)?.at ?? Number.POSITIVE_INFINITY);
}

function untoldOfRescues(study: Study): string[] {
  const told = new Set(study.of("aborted").map(({ id, token }) => `${id} ${token}`));
  const overAt = study.momentOf("over");
  const found: string[] = [];
  for (const start of study.of("started")) {
    const { id, token, at, pid, does } = start;
    const claim = claimOf(study, id, token);
    if (claim?.ending !== "crashed" || told.has(`${id} ${token}`) || does === "block") continue;
    const deadlineAt = graceEnd(study, claim.endedAt, pid);
    const goneAt = goesOnUntil(study, start);
    if (at < claim.endedAt && deadlineAt < Math.min(goneAt, overAt))
      found.push(`job ${id} ran on under ${token}, ${Math.round(goneAt - claim.endedAt)} ms after its claim ended`);
  }
  return found;
}

/** No worker rescues a job whose claim a crash undid. Its own worker must find out. */
function untoldOfCrashes(study: Study): string[] {
  const toldAt = new Map(study.of("aborted").map(({ id, token, at }) => [`${id} ${token}`, at]));
  const overAt = study.momentOf("over");
  const found: string[] = [];
  for (const [start, crash] of undoneRuns(study)) {
    const { id, token, does } = start;
    if (does === "block") continue;
    const until = Math.min(goesOnUntil(study, start), toldAt.get(`${id} ${token}`) ?? Number.POSITIVE_INFINITY);
    if (undoneGraceEnd(study, crash, start) < Math.min(until, overAt))
      found.push(
        `job ${id} ran on under ${token}, ${Math.round(until - crash.goneAt)} ms after a crash undid its claim`,
      );
  }
  return found;
}

function unexplainedRuns(study: Study): string[] {
  const found: string[] = [];
  const asked = new Set(study.of("cancel asked").map(({ id }) => id));
  const toldAt = new Map(study.of("aborted").map(({ id, token, at }) => [`${id} ${token}`, at]));
  const hasStarted = (id: string, token: string | null) => study.starts.get(id)?.some((start) => start.token === token);
  for (const [id, claims] of study.claims) {
    const does = study.wishes.get(study.jobs.get(id)?.[0]?.ref ?? "")?.does;
    for (const { token, ending, startedAt, endedAt, worker } of claims) {
      const end = study.ends.get(`${id} ${token}`);
      const told = toldAt.get(`${id} ${token}`);
      const hasReturned = end?.how === "returned" && end.at < endedAt - clockMs;
      const owner = worker === null ? undefined : study.workers.get(worker);
      const isExplained = {
        completed: true,
        running: true,
        crashed: owner
          ? owner.deadAt !== null && owner.deadAt <= endedAt + clockMs
          : hasLeft(study, startedAt, endedAt),
        error: end?.how === "threw",
        fatal: does === "fatal",
        snoozed: does === "snooze",
        cancelled: asked.has(id),
        // Handed back before it began, or after its handler was aborted. A handler that ignores its
        // signal is given up, and may return long before that is written.
        interrupted: told === undefined ? !hasReturned && !hasStarted(id, token) : !hasReturned || end.at > told,
      }[ending];
      if (!isExplained) found.push(`job ${id}: its claim ${token} ended as ${ending} without a reason`);
    }
  }
  return found;
}

/** How long a worker that has ended its registration may take to end itself, in ms. */
const leavingMs = 8_000;

/**
 * Whether a worker stopped without writing the outcomes of its jobs. Its registration is gone, so
 * they are rescued.
 */
function hasLeft(study: Study, startedAt: number, endedAt: number): boolean {
  return study.of("exited").some(({ by, at }) => by === "SIGTERM" && at >= startedAt && at <= endedAt + leavingMs);
}

/** A worker may be declared dead only if it ended, or a fault kept it from renewing its lease. */
function unexplainedDeaths(study: Study): string[] {
  const { leaseMs } = study.promises;
  const found: string[] = [];
  for (const { id, pid, deadAt, expiresAt } of study.workers.values()) {
    if (deadAt === null) continue;
    const name = study.nameOf(pid);
    const exit = study.exitOf(pid);
    if (exit && exit.at <= deadAt) continue;
    // The worker that should have declared it may have been hit too, so only the end of the lease
    // counts.
    const hit = study.faultsOn(name).some(({ from, to }) => from <= expiresAt && to + 2 * leaseMs >= expiresAt);
    // A renewal is given up after a third of the lease. If a session takes longer than that, no
    // lease can be kept.
    const isSlow = study.slowestSession(expiresAt - leaseMs, expiresAt) * 3 > leaseMs;
    if (!hit && !isSlow) found.push(`worker ${id} (${name}) was declared dead without a fault`);
  }
  return found;
}
