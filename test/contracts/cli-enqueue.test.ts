import { getJob } from "@hark/core";
import { describe, expect } from "vitest";
import { count, jobsModule, test } from "../support/command.ts";

describe("hark enqueue", { timeout: 180_000 }, () => {
  test("prints the id of a job that uses every option", async ({ hark, db }) => {
    const flags = "--queue email --priority -5 --run-at 2030-01-31T09:00:00+01:00 --key k --unique-key u --attempts 7";
    const { code, stdout } = await hark(["enqueue", "email.welcome", `{"userId":"u1"}`, ...flags.split(" ")]);
    expect(code).toBe(0);
    expect(await getJob(db, BigInt(stdout))).toMatchObject({
      type: "email.welcome",
      queue: "email",
      payload: { userId: "u1" },
      priority: -5,
      maxAttempts: 7,
      key: "k",
      uniqueKey: "u",
      state: "scheduled",
      runAt: new Date("2030-01-31T08:00:00Z"),
    });
    const again = await hark(["enqueue", "email.welcome", "null", "--queue", "email", "--unique-key", "u", "--json"]);
    expect(JSON.parse(again.stdout)).toEqual({ jobs: [{ id: stdout.trim(), status: "duplicate" }] });
    expect(again.stderr).toContain("1 of 1 not enqueued");
  });

  test("- reads one payload per line, and prints the ids in their order", async ({ hark, db }) => {
    const { code, stdout } = await hark(["enqueue", "count", "-", "--delay", "5m"], {
      stdin: `{"n":1}\r\n\n2\n"three"`,
    });
    expect(code).toBe(0);
    const jobs = await Promise.all(
      stdout
        .trim()
        .split("\n")
        .map((id) => getJob(db, BigInt(id))),
    );
    expect(jobs.map((job) => job?.payload)).toEqual([{ n: 1 }, 2, "three"]);
    expect(jobs.every((job) => job?.state === "scheduled")).toBe(true);
  });

  test("more lines than one statement takes are all enqueued, or none", async ({ hark, pool }) => {
    const many = Array.from({ length: 2_500 }, (_, n) => String(n)).join("\n");
    const all = await hark(["enqueue", "count", "-"], { stdin: many });
    expect(all.stdout.trim().split("\n")).toHaveLength(2_500);
    expect(await count(pool, "hark.jobs")).toBe(2_500);

    expect(await hark(["enqueue", "count", "-"], { stdin: `${many}\n"\\u0000"` })).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringMatching(/^hark: Line 2501: .*NUL/) as string,
    });
    expect(await count(pool, "hark.jobs")).toBe(2_500);
  });

  test("invalid input exits with 2, and nothing is written", async ({ hark, pool }) => {
    const wrong: [string[], RegExp][] = [
      [["count", "{oops}"], /The payload is not JSON: .* quote it/],
      [["Email", "1"], /"Email" cannot name a job type/],
      [["count", "1", "--queue", "no spaces"], /cannot name a queue/],
      [["count", "1", "--delay", "5 minutes"], /is no duration/],
      [["count", `"\\u0000"`], /NUL/],
    ];
    const ended = await Promise.all(wrong.map(([args]) => hark(["enqueue", ...args])));
    for (const [place, [, said]] of wrong.entries()) {
      expect(ended[place]).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(said) as string });
    }
    const long = await hark(["enqueue", "count", "-"], { stdin: JSON.stringify("x".repeat(262_144)) });
    expect(long).toMatchObject({ code: 2, stderr: expect.stringMatching(/^hark: Line 1: .*over the limit/) as string });
    expect(await count(pool, "hark.jobs")).toBe(0);
  });

  test("--module checks type and payload, and applies the job type's own options", async ({
    hark,
    db,
    writeModule,
  }) => {
    const file = await writeModule("enqueued.ts", jobsModule);
    const [zero, line, unknown] = await Promise.all([
      hark(["enqueue", "count", "0", "--module", file]),
      hark(["enqueue", "count", "-", "--module", file], { stdin: "1\n0" }),
      hark(["enqueue", "cuont", "1", "--module", file]),
    ]);
    expect(zero).toMatchObject({ code: 2, stderr: expect.stringContaining("must be above 0") as string });
    expect(line).toMatchObject({ code: 2, stderr: expect.stringMatching(/Line 2: .*must be above 0/) as string });
    expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining("known are count, fail") as string });
    const { stdout } = await hark(["enqueue", "fail", "{}", "--module", file]);
    expect(await getJob(db, BigInt(stdout))).toMatchObject({ type: "fail", maxAttempts: 1 });
  });
});
