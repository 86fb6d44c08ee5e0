import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { migrate } from "@hark/core";
import { describe, expect } from "vitest";
import { closedUrl, jobsModule, query, run, test } from "../support/command.ts";

describe("the command line", () => {
  test("help and version go to stdout with 0; a wrong command or flag exits with 2, with a suggestion on stderr", async () => {
    const [help, version, command, flag, bare] = await Promise.all(
      [["--help"], ["--version"], ["stat"], ["migrate", "--chek"], ["stats"]].map((args) => run(args)),
    );
    expect(help).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Examples:\n {2}hark /) as string,
      stderr: "",
    });
    expect(version).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
      stderr: "",
    });
    expect(command).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringContaining(`Did you mean "hark stats"?`) as string,
    });
    expect(flag).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringContaining("Did you mean --check?") as string,
    });
    expect(bare).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("Set DATABASE_URL") as string });
  });

  test("pg-hark includes the command", async () => {
    const main = fileURLToPath(new URL("../../packages/pg-hark/dist/hark.js", import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [main, "--version"]);
    expect(stdout).toBe((await run(["--version"])).stdout);
  });

  test("a Node that is too old gets a message before anything else is loaded", async () => {
    const old = `data:text/javascript,Object.defineProperty(process,"versions",{value:{...process.versions,node:"22.11.0"}})`;
    const ended = await run(["stats"], { nodeArgs: ["--import", old] });
    expect(ended).toEqual({
      code: 2,
      stdout: "",
      stderr:
        "hark: Hark needs Node 22.12.0 or newer, and this is Node 22.11.0. Install a newer one, and run this again.\n",
    });
  });

  test("a TypeScript module is rejected clearly if Node cannot run it", async ({ hark, writeModule }) => {
    const ended = await hark(["work", await writeModule("typed.ts", jobsModule)], {
      nodeArgs: ["--no-experimental-strip-types"],
    });
    expect(ended).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/typed\.ts is TypeScript, which needs Node 22\.18\.0 or newer/) as string,
    });
  });

  test("the database is taken from --url, --url-file, HARK_DATABASE_URL, DATABASE_URL and PG*, in this order", async ({
    databaseUrl,
    writeModule,
  }) => {
    const wrong = await closedUrl();
    const urlFile = await writeModule("url", `${databaseUrl}\n`);
    const { hostname, port, username, password, pathname } = new URL(databaseUrl);
    const variables = {
      PGHOST: hostname,
      PGPORT: port,
      PGUSER: decodeURIComponent(username),
      PGPASSWORD: decodeURIComponent(password),
      PGDATABASE: pathname.slice(1),
    };
    const found = await Promise.all([
      run(["stats", "--url", databaseUrl], { env: { HARK_DATABASE_URL: wrong } }),
      run(["--url-file", urlFile, "stats"], { env: { HARK_DATABASE_URL: wrong } }),
      run(["stats"], { env: { HARK_DATABASE_URL: databaseUrl, DATABASE_URL: wrong } }),
      run(["stats"], { env: { DATABASE_URL: databaseUrl, PGHOST: "127.0.0.1", PGPORT: "1" } }),
      run(["stats"], { env: variables }),
    ]);
    expect(found.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0]);
  });

  test.for([["stats"], ["enqueue", "a", "1"], ["migrate", "--check"], ["doctor"]])(
    "%s: an unreachable database exits with 3, and its password is not shown",
    async (args) => {
      const { code, stdout, stderr } = await run(args, { env: { DATABASE_URL: await closedUrl() } });
      expect(code).toBe(3);
      expect(stdout + stderr).toMatch(/No PostgreSQL answered at 127\.0\.0\.1:\d+\/app/);
      expect(stdout + stderr).not.toContain("hunter2");
      if (args[0] !== "doctor") expect(stderr.split("\n")).toHaveLength(2);
    },
  );

  test.for([["stats"], ["enqueue", "a", "-"]])(
    "%s: a missing or newer schema exits with 4, and nothing is written",
    async (args, { emptyUrl }) => {
      const env = { DATABASE_URL: emptyUrl };
      expect(await run(args, { env })).toMatchObject({
        code: 4,
        stdout: "",
        stderr: expect.stringContaining(`Run "hark migrate"`) as string,
      });

      await migrate({ connectionString: emptyUrl });
      await query(emptyUrl, "insert into hark.migrations (version, name, hash) values (999, 'later', 'x')");
      expect(await run(args, { env })).toMatchObject({
        code: 4,
        stdout: "",
        stderr: expect.stringContaining("newer") as string,
      });
      expect(await query(emptyUrl, "select from hark.jobs")).toEqual([]);
    },
  );
});
