import type { Study } from "../campaigns/checker/study.ts";
import type { FinalJob } from "../campaigns/ledger/final-state.ts";

/**
 * A job counts as waiting when its insert was acknowledged this long before the key came free, in
 * ms. Who comes next is decided at that moment, by a statement that may have begun before.
 */
const marginMs = 1_000;

interface Waiting {
  readonly id: bigint;
  readonly priority: number;
  /** When its insert was acknowledged. */
  readonly since: number;
  /** When it was claimed for the first time, or ended without a claim. */
  readonly until: number;
}

export interface OutOfOrder {
  /** Of how many runs it could be judged: another job of their key waited when it came free. */
  readonly judged: number;
  /** Runs that began before a more urgent job of their key that waited, each in a sentence. */
  readonly found: string[];
}

/**
 * Runs that began before a more urgent job of their key: with a higher priority, or the same and a
 * lower id. A run is judged if it is its job's first, and only against jobs that waited when the
 * key came free, had no delay and had never run: when a retry is due, only the database knows.
 */
export function outOfOrder(study: Study): OutOfOrder {
  const found: string[] = [];
  let judged = 0;
  for (const [key, jobs] of Map.groupBy(study.final.jobs, (job) => job.key ?? "")) {
    if (key === "") continue;
    const waiting = jobs
      .flatMap((job) => waitingOf(study, job) ?? [])
      .toSorted((one, other) => one.since - other.since);
    const claims = jobs
      .flatMap(({ id }) => study.claims.get(id) ?? [])
      .toSorted((one, other) => one.startedAt - other.startedAt);
    const line = new Line();
    const byId = new Map(waiting.map((job) => [String(job.id), job]));
    let next = 0;
    let freeAt = Number.NEGATIVE_INFINITY;
    for (const { id, startedAt, endedAt } of claims) {
      for (; next < waiting.length && waiting[next]!.since + marginMs <= freeAt; next += 1) line.add(waiting[next]!);
      const job = byId.get(id);
      if (job && job.until === startedAt && job.since + marginMs <= freeAt) {
        const first = line.first(startedAt, job.id);
        if (first) judged += 1;
        if (first && isBefore(first, job)) {
          found.push(
            `key ${key}: job ${id} (priority ${job.priority}) began before job ${first.id} (priority ${first.priority})`,
          );
        }
      }
      freeAt = Math.max(freeAt, endedAt);
    }
  }
  return { judged, found };
}

function waitingOf(study: Study, { id, ref, finishedAt }: FinalJob): Waiting | undefined {
  const wish = study.wishes.get(ref ?? "");
  const since = study.acknowledgedAt(id);
  if (!wish || since === undefined || wish.delayMs !== undefined) return undefined;
  const until = study.claims.get(id)?.[0]?.startedAt ?? finishedAt ?? Number.POSITIVE_INFINITY;
  return { id: BigInt(id), priority: wish.priority ?? 0, since, until };
}

const isBefore = (one: Waiting, other: Waiting) =>
  one.priority > other.priority || (one.priority === other.priority && one.id < other.id);

/** Waiting jobs, the most urgent first. */
class Line {
  readonly #jobs: Waiting[] = [];

  add(job: Waiting): void {
    let [low, high] = [0, this.#jobs.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBefore(this.#jobs[middle]!, job)) low = middle + 1;
      else high = middle;
    }
    this.#jobs.splice(low, 0, job);
  }

  /** The most urgent job, other than this one, that still waited at this moment. */
  first(at: number, except: bigint): Waiting | undefined {
    while (this.#jobs.length > 0 && this.#jobs[0]!.until < at) this.#jobs.shift();
    return this.#jobs.find(({ id, until }) => id !== except && until > at);
  }
}
