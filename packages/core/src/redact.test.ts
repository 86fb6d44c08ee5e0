import { expect, test } from "vitest";
import { hidden, withoutRowText } from "./redact.ts";

/** As PostgreSQL's, with a value in its message, its stack and its detail. */
const refused = () =>
  Object.assign(new Error('invalid input syntax for type bigint: "s3cret"'), {
    name: "DatabaseError",
    code: "22P02",
    severity: "ERROR",
    detail: "s3cret",
  });

const makers: [name: string, make: (error: Error) => Error][] = [
  ["as pg makes it", (error) => error],
  ["with parts that are read-only", (error) => Object.defineProperty(error, "stack", { writable: false })],
  [
    "with a message of a getter",
    (error) => Object.defineProperty(error, "message", { get: () => 'the value "s3cret"' }),
  ],
  ["that is sealed", Object.seal],
  ["that is frozen", Object.freeze],
];

test.for(makers)("an error %s loses what it quotes, and keeps its code", ([, make]) => {
  const error = withoutRowText(make(refused())) as Error & { code: string; detail?: string };
  expect([error.name, error.code]).toEqual(["DatabaseError", "22P02"]);
  expect(error.message).toContain(`"${hidden}"`);
  expect([error.message, error.stack, error.detail, JSON.stringify(error)].join()).not.toContain("s3cret");
});
