import { expect, test } from "vitest";
import { findConnection } from "./connection.ts";

const find = async (flags: Parameters<typeof findConnection>[0], environment: Record<string, string>) =>
  (await findConnection(flags, environment)).url;

test("the order is --url, HARK_DATABASE_URL, DATABASE_URL, PG*, and an empty variable counts as not set", async () => {
  const environment = {
    HARK_DATABASE_URL: "postgres://b/b",
    DATABASE_URL: "postgres://c/c",
    PGHOST: "d",
    PGDATABASE: "d",
  };
  expect(await find({ url: "postgres://a/a" }, environment)).toBe("postgres://a/a");
  expect(await find({}, environment)).toBe("postgres://b/b");
  expect(await find({}, { ...environment, HARK_DATABASE_URL: "" })).toBe("postgres://c/c");
  expect(await find({}, { PGHOST: "d", PGDATABASE: "d" })).toBe("postgres://d:5432/d");
});

test("the URL made from PG* has no user and no password, because pg reads those itself", async () => {
  expect(await find({}, { PGHOST: "::1", PGPORT: "6000", PGUSER: "u", PGPASSWORD: "secret" })).toBe(
    "postgres://[::1]:6000/",
  );
  expect(await find({}, { PGHOST: "/run/postgresql", PGDATABASE: "app" })).toBe(
    "postgres:///app?host=%2Frun%2Fpostgresql&port=5432",
  );
});

test("a message about a URL holds no credentials", async () => {
  expect((await findConnection({ url: "postgres://u:secret@host:1/db" }, {})).where).toBe("host:1/db");
});

test("HARK_LISTEN_URL is checked too", async () => {
  await expect(findConnection({ url: "postgres://h/d" }, { HARK_LISTEN_URL: "http://h" })).rejects.toThrow(
    "HARK_LISTEN_URL is not a PostgreSQL URL",
  );
});
