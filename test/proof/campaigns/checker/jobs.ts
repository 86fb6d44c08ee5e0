import type { EntryOf } from "../ledger/entries.ts";
import type { FinalJob } from "../ledger/final-state.ts";
import type { Invariant } from "./invariant.ts";
import { clockMs, type Study } from "./study.ts";

const isFinal = ({ table }: FinalJob) => table === "finished_jobs" || table === "dead_jobs";

/** Invariants on jobs: each is kept as it was asked for, and ends once. */
export const jobInvariants: Invariant[] = [
  {
    id: "S1",
    says: "every acknowledged job is there, as it was asked for",
    breaches(study) {
      const found: string[] = [];
      for (const { id, ref, status } of study.of("enqueued")) {
        const [job] = study.jobs.get(id) ?? [];
        const wish = study.wishes.get(ref);
        if (!job) found.push(`job ${id} (${ref}) was acknowledged but is in no table`);
        else if (wish && status === "inserted") found.push(...differences(job, wish));
      }
      return found;
    },
  },
  {
    id: "S2",
    says: "every job was asked for, and none is there twice",
    breaches(study) {
      const found: string[] = [];
      const rolledBack = new Set(study.of("rolled back").map(({ ref }) => ref));
      for (const [ref, jobs] of Map.groupBy(study.final.jobs, (job) => job.ref ?? "")) {
        if (!study.wishes.has(ref)) found.push(`jobs ${idsOf(jobs)} were never asked for`);
        else if (rolledBack.has(ref)) found.push(`job ${idsOf(jobs)} (${ref}) is there although it was rolled back`);
        else if (new Set(jobs.map(({ id }) => id)).size > 1)
          found.push(`${ref} was asked for once but is there as jobs ${idsOf(jobs)}`);
      }
      return found;
    },
  },
  {
    id: "S3",
    says: "a job is in one table, and ends once",
    breaches(study) {
      const found: string[] = [];
      for (const [id, jobs] of study.jobs) {
        if (jobs.length > 1) found.push(`job ${id} stands in ${jobs.map(({ table }) => table).join(" and ")}`);
        const ends = (study.claims.get(id) ?? []).filter((claim) => claim.ending === "completed");
        if (ends.length > 1) found.push(`job ${id} completed ${ends.length} times`);
        if (ends.length === 1 && jobs.every(({ state }) => state !== "completed"))
          found.push(`job ${id} completed but is ${jobs[0]?.state}`);
      }
      return found;
    },
  },
  {
    id: "S6",
    says: "the recorded outcome of a job is its last owner's",
    breaches(study) {
      return study.final.jobs.flatMap((job) => {
        const last = study.claims.get(job.id)?.at(-1);
        if (job.state === "completed") return wronglyCompleted(study, job, last?.token);
        if (job.state === "dead") return wronglyDead(study, job);
        return [];
      });
    },
  },
  {
    id: "S9",
    says: "every attempt is counted, and there are no more than allowed",
    breaches(study) {
      return study.final.jobs.flatMap((job) => miscounted(study, job));
    },
  },
  {
    id: "S12u",
    says: "no two unfinished jobs have the same unique key, and a finished one holds none",
    breaches(study) {
      const found: string[] = [];
      const answers = study.of("enqueued").map((answer) => ({ ...answer, wish: study.wishes.get(answer.ref) }));
      const withKey = answers.filter(({ wish }) => wish?.uniqueKey !== undefined);
      for (const [key, sameKey] of Map.groupBy(withKey, ({ wish }) => wish!.uniqueKey!)) {
        let former: { id: string; endedAt: number } | undefined;
        for (const { id, at, status, wish } of sameKey) {
          const job = study.jobs.get(id)?.[0];
          const endedAt = job && isFinal(job) ? job.finishedAt! : Number.POSITIVE_INFINITY;
          if (status === "duplicate") {
            if (endedAt + clockMs < wish!.at)
              found.push(
                `unique key ${key}: job ${id} was named as unfinished ${Math.round(wish!.at - endedAt)} ms after its end`,
              );
            continue;
          }
          if (former && former.endedAt > at + clockMs)
            found.push(`unique key ${key}: job ${id} was inserted while job ${former.id} was unfinished`);
          if (!former || endedAt > former.endedAt) former = { id, endedAt };
        }
      }
      return found;
    },
  },
  {
    id: "S13",
    says: "rows written in the completing transaction are there once if the job completed, otherwise not",
    breaches(study) {
      const found: string[] = [];
      const effects = Map.groupBy(study.final.effects, ({ id }) => id);
      for (const job of study.final.jobs) {
        if (study.wishes.get(job.ref ?? "")?.does !== "effect") continue;
        const written = effects.get(job.id)?.length ?? 0;
        const wanted = job.state === "completed" ? 1 : 0;
        if (written !== wanted) found.push(`job ${job.id} is ${job.state}, but its row is there ${written} times`);
      }
      return found;
    },
  },
  {
    id: "S15",
    says: "a job enqueued in a transaction is there if and only if the rest of the transaction is",
    breaches(study) {
      const orders = new Set(study.final.orders);
      const refs = new Set(study.final.jobs.map(({ ref }) => ref));
      return study
        .of("wished")
        .filter(({ inTransaction, ref }) => inTransaction && orders.has(ref) !== refs.has(ref))
        .map(({ ref }) => `${ref}: ${orders.has(ref) ? "the row is there without its job" : "the job is there alone"}`);
    },
  },
  {
    id: "L8",
    says: "the counters agree with the tables",
    breaches({ final }) {
      const counted = (state: string) => final.jobs.filter((job) => job.state === state).length;
      return (["completed", "cancelled", "dead"] as const)
        .filter((state) => counted(state) !== final.stats[state])
        .map((state) => `${counted(state)} jobs are ${state}, but the counters say ${final.stats[state]}`);
    },
  },
];

const idsOf = (jobs: FinalJob[]) => [...new Set(jobs.map(({ id }) => id))].join(" and ");

function differences(job: FinalJob, wish: EntryOf<"wished">): string[] {
  const wanted = {
    ref: wish.ref,
    type: wish.type,
    key: wish.key ?? null,
    uniqueKey: wish.uniqueKey ?? null,
    maxAttempts: wish.maxAttempts,
  };
  return Object.entries(wanted)
    .filter(([field, value]) => job[field as keyof typeof wanted] !== value)
    .map(([field, value]) => `job ${job.id}: ${field} should be ${value}, but is ${job[field as keyof typeof wanted]}`);
}

function wronglyCompleted(study: Study, job: FinalJob, lastToken: string | null | undefined): string[] {
  const does = study.wishes.get(job.ref ?? "")?.does;
  if (does === "fatal") return [`job ${job.id} always fails, but completed`];
  if (job.token !== lastToken)
    return [`job ${job.id} completed under ${job.token}, but its last claim was ${lastToken ?? "another"}`];
  // A job that completes in a transaction does so before its handler has ended.
  if (does !== "effect" && study.ends.get(`${job.id} ${job.token}`)?.how !== "returned")
    return [`job ${job.id} completed, but no handler returned under ${job.token}`];
  return [];
}

function wronglyDead(study: Study, job: FinalJob): string[] {
  const wish = study.wishes.get(job.ref ?? "");
  const endings = (study.claims.get(job.id) ?? []).map(({ ending }) => ending);
  const crashes = endings.filter((ending) => ending === "crashed").length;
  const isRight = {
    unrecoverable: wish?.does === "fatal",
    invalid_payload: false,
    worker_died: crashes >= study.promises.crashBudget || (crashes > 0 && job.attempt === job.maxAttempts),
    attempts_exhausted: job.attempt === job.maxAttempts && endings.at(-1) === "error",
  }[job.reason ?? ""];
  return isRight ? [] : [`job ${job.id} (${wish?.does}) is dead for ${job.reason}, after ${endings.join(", ")}`];
}

/** Endings that give the attempt back. */
const givenBack = new Set(["interrupted", "snoozed"]);

function miscounted(study: Study, job: FinalJob): string[] {
  const found: string[] = [];
  let counted = 0;
  let crashes = 0;
  for (const { attempt, ending } of study.claims.get(job.id) ?? []) {
    if (attempt !== counted + 1)
      found.push(`job ${job.id}: after ${counted} counted attempts the next was number ${attempt}`);
    counted = givenBack.has(ending) ? attempt - 1 : attempt;
    if (ending === "crashed") crashes += 1;
  }
  if (counted !== job.attempt && found.length === 0)
    found.push(`job ${job.id}: ${counted} attempts were counted, but it says ${job.attempt}`);
  if (job.attempt > job.maxAttempts) found.push(`job ${job.id}: attempt ${job.attempt} of ${job.maxAttempts}`);
  if (crashes > study.promises.crashBudget)
    found.push(`job ${job.id} took ${crashes} workers along, ${study.promises.crashBudget} are allowed`);
  if (crashes !== job.crashCount && found.length === 0)
    found.push(`job ${job.id}: crashed ${crashes} times, but it says ${job.crashCount}`);
  return found;
}
