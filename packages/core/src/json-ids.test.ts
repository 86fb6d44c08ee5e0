import { inspect } from "node:util";
import { expect, test } from "vitest";
import { HarkError, LockLostError } from "./errors/index.ts";
import { withJsonIds } from "./json-ids.ts";

const id = 2n ** 63n - 1n;

test("an answer with ids has them as text in JSON, and as bigints everywhere else", () => {
  const answer = withJsonIds({ id, status: "inserted" as const });
  expect(JSON.parse(JSON.stringify({ jobs: [answer] }))).toEqual({ jobs: [{ id: String(id), status: "inserted" }] });
  expect(answer.id).toBe(id);
  expect(Object.keys(answer)).toEqual(["id", "status"]);
  expect({ ...answer }).toStrictEqual({ id, status: "inserted" });
  expect(inspect(answer)).toBe("{ id: 9223372036854775807n, status: 'inserted' }");
});

test("errors with ids among their facts can be sent as JSON", () => {
  const error = new HarkError("ANY", { jobId: id, type: "one" }, "any");
  expect(JSON.parse(JSON.stringify(error))).toMatchObject({ code: "ANY", facts: { jobId: String(id), type: "one" } });
  expect(JSON.stringify(new LockLostError("shop", id))).toContain(String(id));
  expect(error.facts).toEqual({ jobId: id, type: "one" });
});
