import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { defineJob } from "@hark/core";
import { schedule } from "@hark/worker";
import { expect } from "vitest";
import { root } from "../docs/blocks.ts";
import { run, Terminal } from "../docs/terminal.ts";
import { eventually } from "../support/eventually.ts";
import { test as base } from "../support/fixtures.ts";
import { databaseNow, firedTicks, setNextTick, startScheduler, untilDeclared } from "../support/schedules.ts";

const test = base.extend(
  "hark",
  ({ databaseUrl }) =>
    (line: string) =>
      run(`node packages/cli/dist/main.js schedule ${line}`, { DATABASE_URL: databaseUrl }, 60_000),
);

const digest = defineJob("mail.digest");

test("schedules are listed with their rules, and one that no worker fires is shown as late", async ({ db, hark }) => {
  expect(await hark("list")).toMatchObject({ code: 0, output: "", errors: expect.stringMatching(/^no schedules/) });
  const weekly = schedule(digest, "0 9 * * 1", { name: "weekly", tz: "Europe/Zurich", payload: { secret: "s3cret" } });
  const often = schedule(digest, { every: "1h" }, { name: "often", missed: "all" });
  await startScheduler(db, [weekly, often]).stop();
  await untilDeclared(db, "weekly");
  const due = (await databaseNow(db)) - 7_200_000;
  await setNextTick(db, "weekly", due);

  const { code, output } = await hark("list");
  const mostLateS = Math.ceil(((await databaseNow(db)) - due) / 1_000);
  expect(code).toBe(0);
  expect(output).toMatch(
    /^name .*late\noften +every 3600000 ms +mail\.digest +default +all +20\S+Z\nweekly +0 9 \* \* 1 +Europe\/Zurich .* \d+ s\n$/,
  );
  const lateS = Number(/(\d+) s\n$/.exec(output)?.[1]);
  expect(lateS).toBeGreaterThanOrEqual(7_200);
  expect(lateS).toBeLessThanOrEqual(mostLateS);
  const { schedules } = JSON.parse((await hark("list --json")).output) as { schedules: object[] };
  expect(schedules).toMatchObject([
    { name: "often", everyMs: 3_600_000, lateMs: 0 },
    { name: "weekly", zone: "Europe/Zurich" },
  ]);
  expect(JSON.stringify(schedules)).not.toContain("s3cret");

  const next = await hark("next often --count 2 --json");
  const { next: moments } = JSON.parse(next.output) as { next: string[] };
  expect(moments).toEqual([
    (await untilDeclared(db, "often")).next_at.toISOString(),
    expect.stringMatching(/:00:00\.000Z$/),
  ]);
  expect(await hark("remove often")).toMatchObject({ code: 0, output: "often\n" });
  expect(await hark("remove often")).toMatchObject({ code: 1, errors: "there is no schedule often\n" });
  expect(await hark("next often")).toMatchObject({ code: 2 });
});

test("the next times of a pattern need no database, and show changes of daylight saving time", async () => {
  const { output, code } = await run(
    `node packages/cli/dist/main.js schedule next "0 12 * * *" --tz America/New_York --count 100`,
    { DATABASE_URL: "" },
    60_000,
  );
  expect(code).toBe(0);
  const lines = output.trimEnd().split("\n");
  expect(lines).toHaveLength(101);
  expect(lines[0]).toMatch(/^in America\/New_York +UTC$/);
  for (const line of lines.slice(1)) expect(line).toMatch(/12:00:00 GMT-0(4:00|4|5:00|5) +20\S+T1[67]:00:00\.000Z$/);
  for (const [words, message] of [
    ["'* * *'", /not a cron pattern/],
    ["'0 0 30 2 *'", /never due/],
    ["'0 9 * * 1' --tz Mars/Base", /not a time zone/],
    ["weekly --tz UTC", /--tz needs a pattern/],
  ] as const) {
    const refused = await run(`node packages/cli/dist/main.js schedule next ${words}`, {}, 60_000);
    expect(refused).toMatchObject({ code: 2, errors: expect.stringMatching(message) });
  }
});

test("hark work declares and fires the schedules that its module exports", async ({ db, databaseUrl, queue }) => {
  const folder = await mkdtemp(join(root, "test", ".scratch-schedules-"));
  const file = join(folder, "jobs.mjs");
  let worker: Terminal | undefined;
  try {
    await writeFile(
      file,
      `import { defineJob } from "@hark/core";
       import { implement, schedule } from "@hark/worker";
       const tick = defineJob("test.tick", { queue: "${queue}" });
       export const handlers = [implement(tick, () => {})];
       export const schedules = [schedule(tick, { every: "1s" }, { name: "${queue}" })];`,
    );
    worker = new Terminal(`node packages/cli/dist/main.js work ${file}`, { DATABASE_URL: databaseUrl });
    await eventually(async () => (await firedTicks(db, queue)).length > 1, { withinMs: 60_000, what: "two ticks" });
  } finally {
    await worker?.end();
    await rm(folder, { recursive: true });
  }
});
