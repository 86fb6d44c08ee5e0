/** Sets of versions of a user's own packages: the oldest, the newest, and some between. */
export const versionSets: readonly (readonly string[])[] = [
  ["typescript@5.8", "pg@8.11.0", "@types/pg@8.6.6", "drizzle-orm@0.44.0"],
  ["typescript@5.9", "pg@8.13.0", "@types/pg@8.11.10", "drizzle-orm@0.44.7"],
  ["typescript@5.9", "pg@8.16.3", "@types/pg@8.15.6", "drizzle-orm@0.45.4"],
  ["typescript@latest", "pg@latest", "@types/pg@latest", "drizzle-orm@1.0.0-rc.5"],
];

/**
 * What the compiler must know of rows, in every version of Drizzle and in both kinds of modules.
 */
export const rowTypes = `
import { drizzle } from "drizzle-orm/node-postgres";
import { deadJobs, jobs } from "pg-hark/schema";

export async function rowTypes(url: string): Promise<unknown[]> {
  const db = drizzle(url);
  const [job] = await db.select().from(jobs);
  const id: bigint = job!.id;
  const state: "scheduled" | "ready" | "parked" = job!.state;
  // @ts-expect-error it may be null
  const key: string = job!.key;
  // @ts-expect-error it is text
  const type: number = job!.type;
  const [dead] = await db.select({ reason: deadJobs.reason, at: deadJobs.finishedAt }).from(deadJobs);
  const at: Date = dead!.at;
  // @ts-expect-error rows of Hark are read, not written
  await db.insert(jobs).values({});
  return [id, state, key, type, at];
}
`;

/** The settings of a user's compiler. */
export const compilerOptions = {
  strict: true,
  target: "es2022",
  lib: ["es2023", "esnext.disposable"],
  module: "nodenext",
  moduleResolution: "nodenext",
  types: ["node"],
  noEmit: true,
};
