import * as worker from "@hark/worker/internal";
import { expect, inject } from "vitest";
import { test } from "../../setup/fixtures.ts";
import { check } from "./check.ts";
import { Server } from "./server.ts";
import { replaceMethods, twins } from "./twins.ts";

/** Many times what each of them needed, so that a change of the worlds does not hide one. */
const runs = 100;

test.for(twins.map((twin) => [twin.name, twin] as const))(
  "a product that %s is caught",
  { tags: ["FM-20", "OWNED-7"], timeout: 240_000 },
  async ([, { name, methods = [], client, database, bent, says }], { server: tests }) => {
    await using server = await Server.open(await tests.createDatabase(undefined, { template: inject("template") }));
    if (database) await server.execute({ text: database, values: [] });
    using _ = await replaceMethods(methods);
    const verdict = await check(worker, { server, client, bent, seed: 1, runs, isShrunk: false });
    expect(verdict.report).toMatch(says);
    process.stdout.write(`${name}: caught in world ${verdict.runs}: ${verdict.report.split("\n")[0]}\n`);
  },
);
