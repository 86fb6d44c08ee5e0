// @module-tag SEC-12
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { root } from "../docs/blocks.ts";

/*
 * SEC-12: tokens are compared by timingSafeEqual on hashes of one length, with every known token,
 * whatever was sent. Timing over HTTP cannot prove that, but the source can.
 */

const folder = `${root}packages/server/src/`;
const source = readFileSync(`${folder}middleware/authorize.ts`, "utf8");

function bodyOf(name: string): string {
  const [, body] = new RegExp(`^function ${name}\\(.*?\\{\n(.*?)^\\}`, "ms").exec(source) ?? [];
  expect(body, name).toBeDefined();
  return body!;
}

test("the comparison has no early exit", () => {
  const body = bodyOf("holderOf");
  expect(body).toContain("timingSafeEqual(");
  expect(body.match(/\breturn\b/g)).toHaveLength(1); // at the end
  expect(body).not.toMatch(
    /\bbreak\b|\bcontinue\b|\bthrow\b|\.(find|some|every|includes|startsWith)\(|&& *timingSafeEqual|\|\| *timingSafeEqual/,
  );
});

test("nothing else in the server compares a secret", () => {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
  expect(files.length).toBeGreaterThan(15);
  const comparing = files.flatMap((file) =>
    readFileSync(folder + file, "utf8")
      .split("\n")
      .filter((line) =>
        /[!=]== *(\w+\.)?(token|secret|password|hash|sent)\b|\b(token|secret|password|hash|sent) [!=]== (?!undefined)/.test(
          line,
        ),
      )
      .map((line) => `${file}: ${line.trim()}`),
  );
  expect(comparing).toEqual([]);
});
