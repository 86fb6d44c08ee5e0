import { getJob } from "@hark/core";
import { describe, expect } from "vitest";
import { bury, count, insert, test } from "../support/command.ts";

describe("hark stats and hark dead", () => {
  test("stats count by queue and state, as a table or as one document", async ({ hark, db }) => {
    await insert(db, { queue: "one" });
    await insert(db, { queue: "two", delayMs: 3_600_000 });
    await bury(db, "dies");
    const [table, document] = await Promise.all([hark(["stats"]), hark(["stats", "--json"])]);
    expect(table).toMatchObject({ code: 0, stderr: "" });
    const rows = table.stdout
      .trim()
      .split("\n")
      .map((line) => line.split(/\s+/));
    expect(rows).toEqual([
      ["queue", "scheduled", "ready", "parked", "running", "completed", "dead", "cancelled"],
      ["default", "0", "0", "0", "0", "0", "1", "0"],
      ["one", "0", "1", "0", "0", "0", "0", "0"],
      ["two", "1", "0", "0", "0", "0", "0", "0"],
      ["(all)", "1", "1", "0", "0", "0", "1", "0"],
    ]);
    expect(document.stderr).toBe("");
    expect(JSON.parse(document.stdout)).toMatchObject({ queued: 2, failed: 1, queues: { two: { scheduled: 1 } } });
  });

  test("dead letters are listed oldest first, in lines that are safe for a terminal", async ({ hark, db }) => {
    const ids = [await bury(db, "one"), await bury(db, "two"), await bury(db, "one")];
    const [list, document] = await Promise.all([
      hark(["dead", "list"]),
      hark(["dead", "list", "--type", "one", "--limit", "1", "--json"]),
    ]);
    expect(list).toMatchObject({ code: 0, stderr: "" });
    const lines = list.stdout.trim().split("\n");
    expect(lines.map((line) => line.split(/\s+/)[0])).toEqual(["id", ...ids.map(String)]);
    expect(lines[1]).toMatch(/one +1\/1 +attempts_exhausted +\d{4}-.*Error: \\u001b\[31mred/);
    expect(list.stdout).not.toContain("\u001b");

    expect(JSON.parse(document.stdout)).toMatchObject({
      jobs: [{ id: String(ids[0]), type: "one", payload: { secret: 1 } }],
    });
  });

  test("dead letters are requeued by id; an unknown id is reported, and the others are requeued anyway", async ({
    hark,
    db,
  }) => {
    const ids = [await bury(db, "one"), await bury(db, "one"), await bury(db, "one", "held")];
    await insert(db, { type: "other", uniqueKey: "held" });
    const dry = await hark(["dead", "requeue", String(ids[0]), "--dry-run"]);
    expect(dry).toMatchObject({
      code: 0,
      stdout: `${ids[0]}\n`,
      stderr: expect.stringContaining("nothing was changed") as string,
    });
    expect(await getJob(db, ids[0]!)).toMatchObject({ state: "dead" });

    const requeued = await hark(["dead", "requeue", String(ids[0]), "999999", String(ids[2]), "--json"]);
    expect(requeued.code).toBe(1);
    expect(JSON.parse(requeued.stdout)).toEqual({
      dryRun: false,
      requeued: [String(ids[0])],
      missing: ["999999"],
      blocked: [String(ids[2])],
    });
    expect(await getJob(db, ids[0]!)).toMatchObject({ state: "ready", attempt: 0 });
    expect(await getJob(db, ids[1]!)).toMatchObject({ state: "dead" });
  });

  test("--all requeues all of a type, even more than one list holds", async ({ hark, db, pool }) => {
    await bury(db, "other");
    await bury(db, "many");
    await pool.query(`insert into hark.dead_jobs select job.id + n, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key,
      run_at, created_at, reason, error, started_at, finished_at from hark.dead_jobs job, generate_series(1, 449) n where type = 'many'`);
    const dry = await hark(["dead", "requeue", "--all", "--type", "many", "--dry-run"]);
    expect(dry).toMatchObject({ code: 0, stderr: "would requeue 450; nothing was changed\n" });
    expect(dry.stdout.trim().split("\n")).toHaveLength(450);
    const all = await hark(["dead", "requeue", "--all", "--type", "many"]);
    expect(all).toMatchObject({ code: 0, stderr: "requeued 450\n" });
    expect(await count(pool, "hark.dead_jobs")).toBe(1);
  });

  test("--all skips those that stay dead letters, however many", async ({ hark, db, pool }) => {
    await insert(db, { uniqueKey: "held" });
    await bury(db, "many");
    const copies = (from: number, to: number, uniqueKey: string) =>
      pool.query(`insert into hark.dead_jobs select job.id + n, queue, type, payload, priority, attempt, max_attempts, crash_count, key, ${uniqueKey},
        run_at, created_at, reason, error, started_at, finished_at from hark.dead_jobs job, generate_series(${from}, ${to}) n where type = 'many' and n > 0
        and job.id = (select min(id) from hark.dead_jobs)`);
    await copies(1, 250, "'held'");
    await copies(251, 260, "null");

    const all = await hark(["dead", "requeue", "--all", "--json"]);

    expect(all.code).toBe(1);
    const { requeued, blocked } = JSON.parse(all.stdout) as { requeued: string[]; blocked: string[] };
    expect([requeued.length, blocked.length]).toEqual([11, 250]);
    expect(await count(pool, "hark.dead_jobs")).toBe(250);
  });

  test("dead letters are deleted by id; an unknown id is reported, and the others are deleted anyway", async ({
    hark,
    db,
    pool,
  }) => {
    const ids = [await bury(db, "one"), await bury(db, "two"), await bury(db, "three")];
    const deleted = await hark(["dead", "delete", String(ids[0]), "999999", String(ids[2]), "--json"]);
    expect(deleted.code).toBe(1);
    expect(JSON.parse(deleted.stdout)).toEqual({ deleted: [String(ids[0]), String(ids[2])], missing: ["999999"] });
    expect(await count(pool, "hark.dead_jobs")).toBe(1);
    expect(JSON.parse((await hark(["stats", "--json"])).stdout)).toMatchObject({ failed: 1 });
    expect(await hark(["dead", "delete", "x"])).toMatchObject({ code: 2 });
  });

  test("dead letters are pruned by age and type, and a dry run only counts", async ({ hark, db, pool }) => {
    const ids = [await bury(db, "one"), await bury(db, "two"), await bury(db, "one")];
    await pool.query("update hark.dead_jobs set finished_at = finished_at - interval '31 days' where id <> $1", [
      ids[2],
    ]);
    const dry = await hark(["dead", "prune", "--older-than", "30d", "--dry-run"]);
    expect(dry).toMatchObject({ code: 0, stdout: "would delete 2; nothing was changed\n" });
    expect(await count(pool, "hark.dead_jobs")).toBe(3);
    const byType = await hark(["dead", "prune", "--older-than", "30d", "--type", "two", "--json"]);
    expect(JSON.parse(byType.stdout)).toEqual({ dryRun: false, deleted: 1, found: 1 });
    expect(await hark(["dead", "prune", "--older-than", "30d"])).toMatchObject({ code: 0, stdout: "deleted 1\n" });
    expect(JSON.parse((await hark(["stats", "--json"])).stdout)).toMatchObject({ failed: 1 });
    for (const wrong of [[], ["--older-than", "soon"]])
      expect(await hark(["dead", "prune", ...wrong])).toMatchObject({ code: 2 });
  });
});
