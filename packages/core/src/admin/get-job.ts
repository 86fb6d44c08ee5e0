import { asc, eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import type { Database } from "../database.ts";
import { shownPayload } from "../payload-cipher.ts";
import { attempts, deadJobs, finishedJobs, jobs, runningJobs } from "../schema/index.ts";

export interface JobDetails {
  id: bigint;
  state: "scheduled" | "ready" | "parked" | "running" | "completed" | "cancelled" | "dead";
  queue: string;
  type: string;
  /** "[encrypted]" if it is sealed. */
  payload: unknown;
  priority: number;
  attempt: number;
  maxAttempts: number;
  crashCount: number;
  key: string | null;
  uniqueKey: string | null;
  runAt: Date;
  createdAt: Date;
  startedAt?: Date | null;
  finishedAt?: Date;
  result?: unknown;
  reason?: string;
  error?: string;
  /** Endings other than a clean first success, oldest first. */
  attempts: (typeof attempts.$inferSelect)[];
}

/** Answers one job wherever it stands, with its ledger; undefined if it never existed or was pruned. */
export async function getJob(database: Database, id: bigint): Promise<JobDetails | undefined> {
  const found = await findJob(database, id);
  return found && { ...found, payload: shownPayload(found.payload) };
}

async function findJob({ pool }: Database, id: bigint): Promise<JobDetails | undefined> {
  const db = drizzle(pool);
  // One snapshot, or a job that moves between two look-ups would be in neither.
  return db.transaction(
    async (tx) => {
      const ledger = await tx.select().from(attempts).where(eq(attempts.jobId, id)).orderBy(asc(attempts.finishedAt));
      const [waiting] = await tx.select().from(jobs).where(eq(jobs.id, id));
      if (waiting) return { ...waiting, attempts: ledger };
      const [running] = await tx.select().from(runningJobs).where(eq(runningJobs.id, id));
      if (running) return { ...running, state: "running" as const, attempts: ledger };
      const [dead] = await tx.select().from(deadJobs).where(eq(deadJobs.id, id));
      if (dead) return { ...dead, state: "dead" as const, attempts: ledger };
      const [finished] = await tx.select().from(finishedJobs).where(eq(finishedJobs.id, id));
      return finished && { ...finished, attempts: ledger };
    },
    { isolationLevel: "repeatable read", accessMode: "read only" },
  );
}
