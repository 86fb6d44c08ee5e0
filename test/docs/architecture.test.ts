import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { root } from "./blocks.ts";
import { sqlFunctionText } from "./reference/sql-functions.ts";

/*
 * ARCHITECTURE.md lists the files to read to follow one job. The list must stay short, and a path.
 */

const most = { files: 15, lines: 1_900 };

interface Step {
  file: string;
  /** The part to read: the whole file, or the SQL functions that the list names. */
  text: string;
}

const [, list = ""] =
  /<!-- happy path -->([^]*?)<!-- end of happy path -->/.exec(readFileSync(`${root}ARCHITECTURE.md`, "utf8")) ?? [];
const steps: Step[] = [...list.matchAll(/^\d+\. `([^`]+)`(?: \(([^)]*)\))?/gm)].map(([, file = "", functions = ""]) => {
  const text = existsSync(root + file) ? readFileSync(root + file, "utf8") : "";
  const names = functions.match(/\w+/g);
  return { file, text: names ? names.map((name) => sqlFunctionText(text, name)).join("\n") : text };
});

test("the path of a plain job is short", () => {
  expect(steps.length).toBeGreaterThan(8);
  expect(steps.filter(({ text }) => text === "").map(({ file }) => file)).toEqual([]);
  expect(steps.length).toBeLessThanOrEqual(most.files);
  const lines = steps.reduce((sum, { text }) => sum + text.trimEnd().split("\n").length, 0);
  expect(lines).toBeLessThanOrEqual(most.lines);
});

test("each file of the path uses one before it, or is used by one", () => {
  const apart = steps.filter(
    (step, place) => place > 0 && !steps.slice(0, place).some((before) => areLinked(before, step)),
  );
  expect(apart.map(({ file }) => file)).toEqual([]);
});

const areLinked = (one: Step, other: Step): boolean => uses(one, other) || uses(other, one);

/** Whether a file names something that the other defines. */
function uses(user: Step, { file, text }: Step): boolean {
  const defined = file.endsWith(".sql")
    ? [...text.matchAll(/FUNCTION (hark\.\w+)|pg_notify\('(\w+)'|AFTER INSERT (ON hark\.\w+)/g)].map(
        ([, name, channel, table]) => name ?? table?.replace("ON", "INTO") ?? channelName(channel!),
      )
    : [...text.matchAll(/^export (?:abstract )?(?:class|const|function|interface) (\w+)/gm)].map(([, name]) => name!);
  return defined.some((name) => new RegExp(String.raw`\b${name}\b`).test(user.text));
}

/** `jobReady` for "job_ready": the channel's name in the code. */
const channelName = (channel: string): string => channel.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
