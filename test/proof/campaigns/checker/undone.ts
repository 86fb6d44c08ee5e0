import type { EntryOf } from "../ledger/entries.ts";
import { graceEnd, heldUp, newsMs, standstills } from "./grace.ts";
import { clockMs, type Disturbance, type Study } from "./study.ts";

/**
 * A fault in which the server ended without writing out its memory. A full disk is not one: only
 * the disk of the tables is full here. A server without room for its write-ahead log panics, which
 * L9 does not allow.
 */
type Crash = EntryOf<"fault"> & { goneAt: number };

type Start = EntryOf<"started">;

/**
 * How long a commit that did not wait for the disk may be lost in a crash, in ms. The worker
 * confirms it after 2 ms, but may be stopped or cut off before. PostgreSQL itself flushes it within
 * three times its wal_writer_delay, 600 ms ("Asynchronous Commit" in its manual). The rest is for
 * the way to a standby. The machine's own time comes on top.
 */
const unflushedMs = newsMs / 2;

/**
 * How long a job that was claimed ahead may wait for its slot, in ms: six checks, 10 ms apart
 * (worker/run/executor.ts), and a reserve.
 */
const slotMs = 100;

/**
 * What may delay the answer to a claim, or the start after it, until long after the server has
 * gone.
 */
const lateAnswers: readonly Disturbance[] = [...standstills, "delay", "trickle"];

/**
 * Faults in which a connection's end is not seen at once. A worker that asks whether a claim stands
 * then gives up after its deadline.
 */
const silences = new Set<Disturbance>(["hole", "hole up", "hole down", "delay", "trickle"]);

/**
 * Starts under claims that the database does not know because a crash of the server undid them,
 * each with its crash.
 */
export function undoneRuns(study: Study): ReadonlyMap<Start, Crash> {
  const crashes = study.of("fault").filter((fault): fault is Crash => fault.goneAt !== undefined);
  const sure = sureTokens(study);
  const undone = new Map<Start, Crash>();
  for (const starts of study.starts.values()) {
    // The end of a claim waits for the disk, and flushes the claim too. So a crash undoes at most
    // one claim of a job.
    const left = [...crashes];
    for (const start of starts) {
      if (sure.has(start.token)) continue;
      const place = left.findIndex((crash) => mayUndo(study, crash, start) && wasReady(study, crash, start));
      if (place >= 0) undone.set(start, left.splice(place, 1)[0]!);
    }
  }
  return undone;
}

/**
 * Tokens of claims that no crash undid. These are the tokens that the database knows, and those
 * that waited for the disk because one of their jobs has a key or a single attempt. A claim is one
 * commit, so what is true of one of its jobs is true of all.
 */
function sureTokens(study: Study): ReadonlySet<string | null> {
  const known = [...study.claims.values()].flatMap((claims) => claims.map(({ token }) => token));
  const waited = study.of("started").filter(({ ref }) => {
    const wish = study.wishes.get(ref);
    return !wish || wish.key !== undefined || wish.maxAttempts === 1;
  });
  return new Set([...known, ...waited.map(({ token }) => token)]);
}

/** Until when a handler must be told that a crash undid its claim. */
export function undoneGraceEnd(study: Study, { goneAt }: Crash, { at, pid }: Start): number {
  let end = graceEnd(study, Math.max(goneAt, at), pid);
  for (const { kind, from, to } of study.disturbancesOf(study.nameOf(pid))) {
    if (silences.has(kind) && from <= end) end = Math.max(end, to + study.promises.recoveryMs[kind] + newsMs);
  }
  return end;
}

/**
 * Whether a start is close enough to a crash: its claim committed before the crash, and was not
 * flushed before the server was gone.
 */
function mayUndo(study: Study, { from, goneAt }: Crash, { at, pid }: Start): boolean {
  const flushedAt = heldUp(study, pid, at + unflushedMs + study.slowestSession(at, from), ["stall"]);
  const latestAt = heldUp(study, pid, goneAt + clockMs + slotMs + study.slowestSession(goneAt, at), lateAnswers);
  return from <= flushedAt && at <= latestAt;
}

/**
 * Whether the job could be claimed just before the crash: it had no owner, it was due, and it had
 * not ended.
 */
function wasReady(study: Study, { from, goneAt }: Crash, { id, at }: Start): boolean {
  const job = study.jobs.get(id)?.[0];
  if (!job || (job.finishedAt ?? Number.POSITIVE_INFINITY) <= from) return false;
  const claimedBy = Math.min(at, goneAt) + clockMs;
  const isHeld = study.claims.get(id)?.some(({ startedAt, endedAt }) => startedAt < from && endedAt > claimedBy);
  const retries = (study.attempts.get(id) ?? []).filter(({ finishedAt }) => finishedAt < Math.min(at, from));
  const dueAt = Math.max(
    job.createdAt + (study.wishes.get(job.ref ?? "")?.delayMs ?? 0),
    ...retries.map(({ retryAt }) => retryAt ?? 0),
  );
  return !isHeld && dueAt <= claimedBy;
}
