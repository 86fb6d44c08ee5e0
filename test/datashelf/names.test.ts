import { readFileSync } from "node:fs";
import { describeEnvironment, readEnvironment } from "pg-hark";
import { expect, test } from "vitest";
import { managerSettings } from "../../packages/job-manager/dist/job-manager-options.js";
import { queueSettings } from "../../packages/job-manager/dist/queue/queue-options.js";
import { settingsOf, variableOf } from "../../packages/job-manager/dist/settings.js";
import { root } from "../docs/blocks.ts";
import { listOf } from "./contract.ts";

/* The table of docs/how-to/url-jobs.md that says what each name means. */

const text = readFileSync(`${root}docs/how-to/url-jobs.md`, "utf8");
const cells = text
  .split("\n")
  .filter((line) => line.startsWith("| "))
  .map((line) => line.split("|").map((cell) => cell.trim().replaceAll(/^`|`$/g, "")));
const options = new Map(
  cells
    .filter((row) => row.length === 6)
    .map(([, option = "", variable, value, meaning]) => [
      option.replace(/` \\\*$/, ""),
      { option, variable, value, meaning },
    ]),
);

test("the table has every option, with its variable and default", () => {
  const env = { DATABASE_URL: "postgres://nobody@127.0.0.1:1/none" };
  const defaults = settingsOf("JobManager", managerSettings, {}, env) as Record<string, unknown>;
  for (const name of Object.keys(managerSettings.shape)) {
    const row = options.get(name);
    expect(row, name).toBeDefined();
    const variable = (variableOf as Record<string, string>)[name];
    if (name !== "logger") expect(row!.variable, name).toBe(variable ?? "");
    if (typeof defaults[name] === "number") expect(row!.value, name).toBe(String(defaults[name]));
    expect(row!.option.endsWith("*"), `${name} of PostgresQueue`).toBe(name in queueSettings.shape);
  }
});

test("the table has every variable of the contract", () => {
  const lines = describeEnvironment(readEnvironment({ DATABASE_URL: "postgres://nobody@127.0.0.1:1/none" }));
  const known = lines.map((line) => line.split(" ")[0]!).filter((name) => /^(SCRAPER|JOB_MANAGER)_/.test(name));
  expect(known.length).toBe(7);
  for (const name of known) expect([...options.values()].map(({ variable }) => variable)).toContain(name);
});

test("the table has every name of the contract that means something else now", () => {
  expect(listOf("RedisQueue")).toHaveLength(6);
  for (const name of [
    "RedisQueue",
    "redisConnected",
    "activeWorkers",
    "last_error",
    "queued",
    "failed",
    "status",
    "retryDelay",
  ])
    expect(text.slice(text.indexOf("## What each name means")), name).toContain(`\`${name}\``);
});
