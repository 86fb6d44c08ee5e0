import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type pg from "pg";
import { eventually } from "../../support/eventually.ts";
import type { Project } from "./project.ts";

/** Calls the handler once for each line of its input, as the runtime of a function does. */
const runtime = `
const { handler } = require("./handler.cjs");
require("node:readline").createInterface({ input: process.stdin }).on("line", async (line) => {
  try {
    console.log((await handler(JSON.parse(line))).statusCode);
  } catch (error) {
    console.log(String(error));
  }
});
`;

/**
 * Calls the bundled handler three times. Between calls its process is frozen, and the server ends
 * its connections. Returns the status codes, or what the handler threw.
 */
export async function frozenCalls(
  project: Project,
  cwd: string,
  url: string,
  pool: pg.Pool,
): Promise<(number | string)[]> {
  await writeFile(join(cwd, "runtime.cjs"), runtime);
  const child = project.start("exec node runtime.cjs", { cwd });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answers: (number | string)[] = [];
  try {
    for (let call = 1; call <= 3; call += 1) {
      child.stdin.write(`${JSON.stringify({ email: `${call}@example.com` })}\n`);
      const { value } = (await lines.next()) as { value: string };
      answers.push(/^\d+$/.test(value) ? Number(value) : value);

      process.kill(child.pid!, "SIGSTOP");
      await endSessions(pool, new URL(url).pathname.slice(1));
      process.kill(child.pid!, "SIGCONT");
    }
    return answers;
  } finally {
    child.kill("SIGKILL");
    await once(child, "close");
  }
}

/** Ends the sessions of a database, and waits until they are gone. */
async function endSessions(pool: pg.Pool, database: string): Promise<void> {
  await eventually(
    async () => {
      const { rowCount } = await pool.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1",
        [database],
      );
      return rowCount === 0;
    },
    { withinMs: 20_000, what: `the end of all sessions of ${database}` },
  );
}
