import { write } from "node:fs";
import type { Session } from "node:inspector";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { orLate } from "@hark/core/clock";

/** How long each step may take before the next one, in ms: nothing may keep the process alive. */
const stepMs = 500;

/** The exit code of a process that ended by SIGKILL, as shells report it. */
const killedCode = 137;

/**
 * Ends the process from a thread beside its main one, which hangs. First says so on stderr, with
 * the place where the main thread is, since nothing else of the process can (FM-73). As process 1
 * of a container it cannot be killed from within: there the main thread is interrupted, and made to
 * exit.
 */
export async function endHungProcess(worker: string, silentSeconds: number): Promise<void> {
  await say(worker, `the event loop has not turned for ${silentSeconds} s: the process ends, and others get its jobs`);
  const stack = await inMainThread("new Error('').stack");
  const frames = stack?.split("\n").filter((line) => /^\s+at /.test(line) && !line.includes("<anonymous>:1:1"));
  if (frames?.length) await say(worker, "this is where it hangs", { stack: frames.join("\n") });
  process.kill(process.pid, "SIGKILL");
  await sleep(stepMs); // still here: the kernel protects process 1
  await inMainThread(`process.reallyExit(${killedCode})`);
  await sleep(stepMs);
  await say(
    worker,
    "the process cannot be ended from within: it is process 1. Run it under an init, such as docker run --init",
  );
}

/**
 * Writes a line as pino would. It is written by the thread pool, and not waited for any longer: a
 * reader that stands still must not keep this thread from its task.
 */
async function say(worker: string, msg: string, facts: object = {}): Promise<void> {
  const line = { level: 60, time: Date.now(), pid: process.pid, hostname: hostname(), worker, ...facts, msg };
  const written = new Promise<void>((resolve) => write(2, `${JSON.stringify(line)}\n`, () => resolve()));
  await orLate(written, stepMs);
}

/**
 * Evaluates an expression in the main thread, in the middle of what it does, and returns its value
 * as text. Undefined if this Node has no inspector, or the main thread does not answer.
 */
async function inMainThread(expression: string): Promise<string | undefined> {
  let session: Session | undefined;
  try {
    const inspector = process.getBuiltinModule("node:inspector");
    session = new inspector.Session();
    session.connectToMainThread();
    const asked = session;
    const answer = new Promise<string | undefined>((resolve) => {
      asked.post("Runtime.evaluate", { expression }, (error, answered) => {
        resolve(error ? undefined : String(answered.result.value));
      });
    });
    const value = await orLate(answer, stepMs);
    return value === "late" ? undefined : value;
  } catch {
    return undefined;
  } finally {
    session?.disconnect();
  }
}
