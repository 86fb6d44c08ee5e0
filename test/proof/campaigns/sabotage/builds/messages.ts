import { setTimeout as sleep } from "node:timers/promises";
import type { Database } from "@hark/core";
import type { statements } from "@hark/core/internal";
import type { Listener } from "@hark/worker/internal";
import { type Build, exported, method, statement } from "../build.ts";

/** Builds that lose or forge messages between processes. */
export const messageBuilds: readonly Build[] = [
  {
    name: "acknowledged-before-commit",
    does: "resolves enqueue() a tenth of a second before its insert commits",
    seams: [
      statement<unknown, statements.InsertedJob>("insert-jobs", (original) => (db, request) => {
        const { transaction } = db as Partial<Database>;
        if (!transaction) return original(db, request); // in the caller's transaction
        return new Promise((resolve, reject) => {
          transaction(async (tx) => {
            resolve(await original(tx, request));
            await sleep(100); // the fault itself, not a wait of a test
          }).catch(reject);
        });
      }),
    ],
    breaks: ["S1"],
    only: ["kill", "cut", "backends", "crash"],
  },
  {
    name: "outcome-dropped",
    does: "gives up writing an outcome when the connection breaks, though the handler has returned",
    seams: [
      statement(
        /^(complete|retry|bury)-jobs$/,
        (original) => (db, request) =>
          original(db, request).catch((error: unknown) => {
            if (isRefusal(error)) throw error;
            return [];
          }),
      ),
    ],
    breaks: ["S7", "L1"],
    only: ["cut", "backends", "crash"],
    jobsPerSecond: 80,
  },
  {
    name: "unanswered-claims-kept",
    does: "keeps jobs for ever whose claim was committed and never answered",
    seams: [method<() => Promise<void>>("worker", "ForgottenClaims.release", () => async () => {})],
    breaks: ["L1", "L3"],
    only: ["cut at commit"],
    jobsPerSecond: 40,
  },
  {
    name: "no-look-after-reconnect",
    does: "does not look for missed jobs when its listener comes back",
    seams: [
      exported<typeof Listener>("worker", "Listener", (Original) => {
        return class extends Original {
          constructor(options: ConstructorParameters<typeof Listener>[0]) {
            super({ ...options, onListening: () => {} });
          }
          override on(...[channel, heard]: Parameters<Listener["on"]>): () => void {
            return super.on(channel, (payload) => payload !== undefined && heard(payload));
          }
        };
      }),
    ],
    breaks: ["L3"],
    minutes: 0.8, // in 0.35 no job came while its listener was away
    only: ["listener cut", "listener hole"],
  },
  {
    name: "nobody-is-told",
    does: "never notifies a worker that sleeps",
    seams: [
      {
        database: `alter table hark.jobs disable trigger jobs_announce_insert;
                   alter table hark.jobs disable trigger jobs_announce_update`,
      },
    ],
    breaks: ["L2", "L3"],
    only: ["cut"],
  },
];

/** Whether the database refused a row. */
const isRefusal = (error: unknown): boolean => /^(2[123]|54|P0)/.test((error as { code?: string }).code ?? "");
