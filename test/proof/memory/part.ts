import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { test as base } from "../../support/fixtures.ts";
import type { PartName, PartRequest } from "./part-main.ts";

/** A part of Hark in a process of its own. It is asked for one thing at a time. */
export interface Part {
  /** Has it work on so many jobs, as its kind has it. */
  work(jobs: number): Promise<void>;
  /** The bytes that it holds when all garbage is collected. */
  heldBytes(): Promise<number>;
}

export const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** Starts a part. It is killed at the end of the test. */
export const test = base.extend("part", ({ databaseUrl }, { onCleanup }) => {
  const started: ChildProcess[] = [];
  onCleanup(() => started.forEach((child) => child.kill("SIGKILL")));
  return async (name: PartName): Promise<Part> => {
    const main = fileURLToPath(new URL("part-main.ts", import.meta.url));
    const child = fork(main, [name, databaseUrl], { execArgv: ["--expose-gc"] });
    started.push(child);
    const ended = once(child, "exit").then(([code, signal]) => {
      throw new Error(`the process of the ${name} ended: ${String(code ?? signal)}`);
    });
    ended.catch(() => {}); // an answer that is awaited rejects with it
    const answer = async () => {
      const [{ value, error }] = await Promise.race([
        once(child, "message") as Promise<[{ value?: number; error?: string }]>,
        ended,
      ]);
      if (error !== undefined) throw new Error(`${name}: ${error}`);
      return value;
    };
    const ask = async (request: PartRequest) => {
      const answered = answer();
      child.send(request);
      return answered;
    };
    await answer();
    return {
      work: async (jobs) => void (await ask({ ask: "work", jobs })),
      heldBytes: async () => (await ask({ ask: "memory" }))!,
    };
  };
});
