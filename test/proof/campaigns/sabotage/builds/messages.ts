import { type Build, moves } from "../build.ts";

/** Builds that lose or forge what one process tells another. */
export const messageBuilds: readonly Build[] = [
  {
    name: "acknowledged-before-commit",
    does: "answers enqueue() a tenth of a second before its insert commits",
    edits: [
      {
        file: "packages/producer/src/coalescer.ts",
        from: "    if (job.uniqueKey !== undefined) return (await insert(this.#executor, [job]))[0]!;\n",
        to: `    if (job.uniqueKey !== undefined) return (await insert(this.#executor, [job]))[0]!;
    const db = this.#executor as unknown as { transaction?: (work: (tx: Executor) => Promise<void>) => Promise<void> };
    if (db.transaction) {
      return new Promise((resolve, reject) => {
        void db.transaction!(async (tx) => {
          resolve((await insert(tx, [job]))[0]!);
          await tx.query({ text: "select pg_sleep(0.1)", values: [] });
        }).catch(reject);
      });
    }
`,
      },
    ],
    breaks: ["S1"],
    only: ["kill", "cut", "backends", "crash"],
  },
  {
    name: "outcome-dropped",
    does: "gives up writing an outcome when the connection breaks, though the handler has returned",
    edits: [
      {
        file: "packages/worker/src/settle/settler.ts",
        from: "        await sleep(backoffMs(afterFailure, failures), { signal: this.#giveUp.signal });\n",
        to: `        await sleep(backoffMs(afterFailure, failures), { signal: this.#giveUp.signal });
        for (const { done } of entries) done("refused");
        return;
`,
      },
    ],
    breaks: ["S7", "L1"],
    only: ["cut", "backends", "crash"],
    jobsPerSecond: 80,
  },
  {
    name: "unanswered-claims-kept",
    does: "keeps jobs for ever whose claim was committed and never answered",
    edits: [
      {
        file: "packages/worker/src/upkeep/forgotten-claims.ts",
        from: "if (forgotten.length === 0) return;",
        to: "if (forgotten.length >= 0) return;",
      },
    ],
    breaks: ["L1", "L3"],
    only: ["cut at commit"],
    jobsPerSecond: 40,
  },
  {
    name: "deaf-after-reconnect",
    does: "does not look for what it missed when its listener comes back",
    edits: [
      {
        file: "packages/worker/src/wake/listener.ts",
        from: "for (const subscriptions of this.#subscriptions.values()) this.#tell(subscriptions, undefined);",
        to: "for (const subscriptions of [...this.#subscriptions.values()].slice(0, 0)) this.#tell(subscriptions, undefined);",
      },
      {
        file: "packages/worker/src/worker.ts",
        from: "      onListening: () => this.#wakeClaimers(),\n",
        to: "",
      },
    ],
    breaks: ["L3"],
    only: ["listener cut", "listener hole"],
  },
  {
    name: "nobody-is-told",
    does: "never notifies a worker that sleeps",
    edits: [
      { file: moves, from: "ELSE true END) THEN", to: "ELSE false END) THEN" }, // one job
      { file: moves, from: "ELSE true END;", to: "ELSE false END;" }, // many
    ],
    breaks: ["L2", "L3"],
    only: ["cut"],
  },
];
