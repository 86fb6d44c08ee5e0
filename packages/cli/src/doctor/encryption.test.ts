// @module-tag SEC-29
import type { Database } from "@hark/core";
import { afterEach, expect, test, vi } from "vitest";
import { encryptionCheck } from "./encryption.ts";

afterEach(() => void vi.unstubAllEnvs());

/** The finding for a URL. The check needs no database. */
const check = (url: string) =>
  encryptionCheck.run({
    connection: { url, listenUrl: undefined, source: "--url", where: "" },
    db: {} as Database,
  });

test.for(["localhost", "127.0.0.1", "127.1.2.3", "[::1]", "%2Frun%2Fpostgresql", ""])(
  "a connection to this machine needs no encryption: %s",
  async (host) => {
    expect(await check(`postgres://user@${host}/app`)).toMatchObject({ status: "ok" });
  },
);

test.for(["db.example", "10.0.0.5", "127.evil.example", "127.0.0.1.evil.example", "localhost.evil.example"])(
  "an unencrypted connection to another machine gives a warning that asks for sslmode=verify-full: %s",
  async (host) => {
    for (const query of ["", "?sslmode=disable", "?sslmode=allow"]) {
      const finding = await check(`postgres://user:hunter2@${host}/app${query}`);
      expect(finding).toMatchObject({
        status: "warn",
        message: `the connection to ${host} is not encrypted`,
        advice: expect.stringContaining("sslmode=verify-full") as string,
      });
      expect(JSON.stringify(finding)).not.toContain("hunter2");
    }
    expect(await check(`postgres://user@${host}/app?sslmode=verify-full`)).toMatchObject({ status: "ok" });
  },
);

test("encryption without verifying the server gives a warning too, from the URL or from PGSSLMODE", async () => {
  for (const query of ["?sslmode=require", "?sslmode=verify-ca", "?ssl=true"])
    expect(await check(`postgres://user@db.example/app${query}`)).toMatchObject({
      status: "warn",
      advice: expect.stringContaining("sslmode=verify-full") as string,
    });
  expect(await check("postgres:///app?host=db.example&sslmode=prefer")).toMatchObject({ status: "warn" });

  vi.stubEnv("PGSSLMODE", "verify-full");
  expect(await check("postgres://user@db.example/app")).toMatchObject({ status: "ok" });
});
