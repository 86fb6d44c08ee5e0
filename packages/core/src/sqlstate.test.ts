import { expect, test } from "vitest";
import {
  isDatabaseError,
  isGivingWay,
  isLoginRefused,
  isPermissionDenied,
  isPoolerRefusal,
  isRejection,
  isSchemaMissing,
  isUnreachable,
  mayBeOneRow,
} from "./sqlstate.ts";

const raised = (code: string, message = "") => Object.assign(new Error(message), { code, severity: "ERROR" });

test.for([
  ["a unique violation", "23505", [isRejection, mayBeOneRow]],
  ["a value that is no JSON", "22P02", [isRejection, mayBeOneRow]],
  ["what a trigger of the application raises", "P0001", [isRejection, mayBeOneRow]],
  ["a right that is missing", "42501", [mayBeOneRow, isPermissionDenied]],
  ["a table that is missing", "42P01", [mayBeOneRow, isSchemaMissing]],
  ["a full disk", "53100", []],
  ["too many connections", "53300", [isUnreachable]],
  ["a shutdown", "57P01", [isUnreachable]],
  ["a wrong password", "28P01", [isLoginRefused]],
  ["a lock that another session holds", "55P03", [isGivingWay]],
  ["a deadlock", "40P01", [isGivingWay]],
] as const)("%s is told apart by its SQLSTATE, %s", ([, code, meanings]) => {
  const all = [
    ...[isRejection, mayBeOneRow, isUnreachable, isLoginRefused, isSchemaMissing, isPermissionDenied, isGivingWay],
    isPoolerRefusal,
  ];
  expect(all.filter((means) => means(raised(code)))).toEqual(meanings);
});

test("errors of the network and of a pooler are told from those of PostgreSQL", () => {
  const refused = Object.assign(new Error("connect"), { code: "ECONNREFUSED" });
  expect([isDatabaseError(refused), isUnreachable(refused), mayBeOneRow(refused)]).toEqual([false, true, false]);
  expect(isPoolerRefusal(raised("08P01", "unsupported startup parameter: options"))).toBe(true);
  expect([isRejection("no error"), mayBeOneRow(undefined), isUnreachable(new Error("plain"))]).toEqual([
    false,
    false,
    false,
  ]);
});
