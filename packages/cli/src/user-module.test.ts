import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defineJob } from "@hark/core";
import { implement, schedule } from "@hark/worker";
import { afterAll, expect, test } from "vitest";
import { findJob, handlersOf, loadModule, settingsOf } from "./user-module.ts";

const folder = mkdtempSync(join(tmpdir(), "hark-module-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, source: string): string {
  writeFileSync(join(folder, name), source);
  return join(folder, name);
}

const first = defineJob("first");
const second = defineJob("second");
const handler = implement(second, () => {});
const moduleOf = (exports: Record<string, unknown>) => ({ file: "jobs.ts", exports });

test("the error names a file that is missing, is a folder, throws, or cannot be loaded", async () => {
  await expect(loadModule("nowhere.ts")).rejects.toThrow(/There is no file nowhere\.ts/);
  await expect(loadModule(folder)).rejects.toThrow(`${folder} is not a file`);
  await expect(loadModule(write("view.tsx", ""))).rejects.toThrow(/view\.tsx has JSX/);
  await expect(loadModule(write("throws.mjs", "throw new TypeError('boom')"))).rejects.toThrow(
    /throws\.mjs could not be loaded: TypeError: boom/,
  );
  await expect(loadModule(write("odd.mjs", "throw 'text'"))).rejects.toThrow(
    /odd\.mjs could not be loaded: it threw text/,
  );
});

test("the exports of a CommonJS module and of a default export are found too", async () => {
  expect((await loadModule(write("old.cjs", "module.exports = { handlers: 1 }"))).exports).toMatchObject({
    handlers: 1,
  });
  expect(
    (await loadModule(write("main.mjs", "export default { handlers: 2, queues: 3 }; export const queues = 4;")))
      .exports,
  ).toMatchObject({ handlers: 2, queues: 4 });
});

test.for([
  [{ other: 1 }, /jobs\.ts exports no handlers: add "export const handlers = .*It exports other\./],
  [{}, /It exports nothing\./],
  [{ handlers: handler }, /are not an array/],
  [{ handlers: [] }, /are an empty array/],
  [{ handlers: [handler, () => {}] }, /handlers\[1\] of jobs\.ts was not made by implement/],
] as const)("a module with the exports %j is refused", ([exports, said]) => {
  expect(() => handlersOf(moduleOf(exports))).toThrow(said);
});

test("schedules are accepted only if schedule() made them", () => {
  const schedules = [schedule(first, "0 9 * * 1", {})];
  expect(settingsOf(moduleOf({ schedules }))).toEqual({ schedules });
  for (const wrong of [schedules[0], ["0 9 * * 1"], [first]])
    expect(() => settingsOf(moduleOf({ schedules: wrong }))).toThrow(
      /The schedules that jobs\.ts exports are not an array/,
    );
});

test("exported queues override those of workerOptions", () => {
  expect(settingsOf(moduleOf({ workerOptions: { lease: "30s", queues: 3 }, queues: { email: 5 } }))).toEqual({
    lease: "30s",
    queues: { email: 5 },
  });
  expect(() => settingsOf(moduleOf({ queues: "many" }))).toThrow(/neither a number nor an object/);
  expect(() => settingsOf(moduleOf({ workerOptions: [] }))).toThrow(/are not an object/);
});

test("job types are found as exports, in arrays, in objects and in handlers", () => {
  const third = defineJob("third");
  const module = moduleOf({ first, jobs: { third }, handlers: [handler], port: 1, nothing: null });
  for (const job of [first, second, third]) expect(findJob(module, job.type)).toBe(job);
  expect(() => findJob(module, "fourth")).toThrow(/no job type "fourth": known are first, third, second/);
});
