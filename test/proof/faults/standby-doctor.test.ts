import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startEmbedded } from "@hark/test/database";
import { expect, test } from "vitest";
import { run } from "../../support/command.ts";

test("doctor recognises a standby, which takes no writes", { tags: ["FM-09"], timeout: 120_000 }, async () => {
  const server = await startEmbedded();
  try {
    await server.stopImmediately();
    await writeFile(join(server.directory, "data/standby.signal"), "");
    await server.start();
    const { code, stdout } = await run(["doctor", "--json"], { env: { DATABASE_URL: server.url } });
    expect(code).toBe(1);
    const { checks } = JSON.parse(stdout) as { checks: { name: string; status: string; message: string }[] };
    expect(checks.find(({ name }) => name === "connection")).toMatchObject({
      status: "fail",
      message: expect.stringContaining("a standby: it takes no writes") as string,
      advice: expect.stringContaining("Use the URL of the primary") as string,
    });
  } finally {
    await server.stop();
  }
});
