import { expect, test } from "vitest";
import {
  isDatabaseError,
  isGivingWay,
  isLoginRefused,
  isPermissionDenied,
  isNameRefused,
  isStartupRefused,
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
    isRejection,
    mayBeOneRow,
    isUnreachable,
    isLoginRefused,
    isSchemaMissing,
    isPermissionDenied,
    isGivingWay,
  ];
  expect(all.filter((means) => means(raised(code)))).toEqual(meanings);
});

test("errors of the network and of a pooler are told from those of PostgreSQL", () => {
  const refused = Object.assign(new Error("connect"), { code: "ECONNREFUSED" });
  expect([isDatabaseError(refused), isUnreachable(refused), mayBeOneRow(refused)]).toEqual([false, true, false]);
  expect([isRejection("no error"), mayBeOneRow(undefined), isUnreachable(new Error("plain"))]).toEqual([
    false,
    false,
    false,
  ]);
});

test.for([
  ["PgBouncer", raised("08P01", "unsupported startup parameter: options"), true],
  ["RDS Proxy", raised("0A000", "RDS Proxy currently doesn't support command-line options."), true],
  ["a pooler that names no reason", raised("XX000", "internal error"), true],
  ["a server that lets this role set nothing", raised("42501", "permission denied to set parameter"), true],
  ["a pooler that hangs up", new Error("Connection terminated unexpectedly"), true],
  ["a wrong password", raised("28P01"), false],
  ["a database that is not there", raised("3D000"), false],
  ["a server that starts up", raised("57P03"), false],
  ["nobody", Object.assign(new Error("connect"), { code: "ECONNREFUSED" }), false],
] as const)("a session refused at its start by %s may have been refused for its settings: %s", ([, error, is]) => {
  expect(isStartupRefused(error)).toBe(is);
});

test.for([
  ["26000", "ERROR", true],
  ["42P05", "ERROR", true],
  ["08P01", "ERROR", true],
  ["08P01", "FATAL", false], // a pooler lost the server, and the statement may have run
  ["57014", "ERROR", false],
] as const)("a named statement that fails with %s, %s, is repeated without its name: %s", ([code, severity, is]) => {
  expect(isNameRefused(Object.assign(raised(code), { severity }))).toBe(is);
});
