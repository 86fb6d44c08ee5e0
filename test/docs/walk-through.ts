import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { oddSiteCounts } from "../../examples/datashelf/dist/testing/odd-site.js";
import { readSummary } from "../demo/summary.ts";
import { eventually } from "../support/eventually.ts";
import { type Block, blocksOf, documents, nameOf, proofOf, root } from "./blocks.ts";
import type { Manner } from "./terminal.ts";
import { commandMs, type Ran, Walk } from "./walk.ts";

const deadline = { timeout: commandMs + 30_000 };
const pnpm = "npx -y pnpm@12";

/** The blocks, in the order in which they run. */
const order = documents()
  .flatMap(blocksOf)
  .filter((block) => ["command", "terminal", "example", "sql"].includes(proofOf(block)!));

/** Whether a block runs a demo, which needs nothing from other blocks. */
export const isDemo = ({ text }: Block): boolean => text.includes(" run demo");

/** What must be true after a block, by text in its first line, in the order of the README. */
const facts: [pattern: string, fact: (walk: Walk, ran: Ran) => Promise<void>][] = [
  [
    `${pnpm} run demo\n`,
    async (_, { output }) => {
      const { pages, books, deadLetters, retries } = readSummary(output);
      expect([pages, books, Object.keys(deadLetters).length, retries]).toEqual([315, 293, 7, 23]); // for seed 1
    },
  ],
  [
    `${pnpm} run db`,
    async (walk) => {
      const [, url = ""] = await walk.terminal("database").says(/^export DATABASE_URL=(postgres:\S+)$/m, 60_000);
      walk.connect(url);
      expect(await walk.rows("select 1 as one")).toEqual([{ one: 1 }]);
    },
  ],
  [
    "migrate --roles",
    async (walk, { output }) => {
      expect(output).toContain("granted hark_producer, hark_worker, hark_reader, hark_admin");
      const { length } = await walk.rows("select from pg_roles where rolname like 'hark\\_%' and not rolcanlogin");
      expect(length).toBe(4);
    },
  ],
  [
    "run hark migrate",
    async (walk) => expect(await walk.rows("select count(*) from hark.jobs")).toEqual([{ count: "0" }]),
  ],
  [
    "sign-up.ts",
    async (walk, { output }) => {
      expect(output).toMatch(/^job \d+ \w+$/m);
      expect(await walk.rows("select email from users")).toEqual([{ email: "ada@example.com" }]);
      await walk.counts("select count(*) from hark.jobs where state = 'ready'", 1, "one waiting job");
    },
  ],
  [
    "run hark work",
    (walk) =>
      walk.counts("select count(*) from hark.finished_jobs where state = 'completed'", 1, "the completed welcome"),
  ],
  [
    "run hark enqueue",
    async (walk, { output }) => {
      expect(output).toMatch(/\b\d+\b/);
      await walk.counts(
        "select count(*) from hark.dead_jobs where attempt = 3",
        1,
        "the dead letter, after three attempts",
      );
    },
  ],
  ["dead list", async (_, { output }) => expect(output).toMatch(/email\.welcome .*3\/3 .*there is no such mailbox/)],
  [
    "dead requeue --all",
    async (walk, { errors }) => {
      expect(errors).toContain("requeued 1");
      await walk.counts(
        "select count(*) from hark.attempts where ending = 'error'",
        6,
        "three more attempts of the requeued job",
      );
      await walk.counts(
        "select count(*) from hark.dead_jobs where attempt = 3",
        1,
        "the dead letter, for the second time",
      );
    },
  ],
  [
    "run hark stats",
    async (_, { output }) => {
      const [head = [], row = []] = output
        .slice(output.search(/^queue\b/m))
        .split("\n")
        .map((line) => line.trim().split(/\s+/));
      expect(Object.fromEntries(head.map((name, column) => [name, row[column]]))).toMatchObject({
        queue: "default",
        completed: "1",
        dead: "1",
      });
    },
  ],
  [
    "run hark schedule next",
    async (_, { output }) => expect(output.match(/ GMT-0[45]\S* +\d{4}-\S+T0[67]:[03]0:00\.000Z$/gm)).toHaveLength(5),
  ],
  [
    "hark.enqueue(",
    (walk) =>
      walk.counts("select count(*) from hark.finished_jobs where state = 'completed'", 2, "the job enqueued by SQL"),
  ],
  [
    "run demo --books 40 --workers 3",
    async (_, { output }) => expect(output).toMatch(/with 3 worker processes[^]*^Summary$/m),
  ],
  [
    "run demo --site",
    async (_, { output }) => expect(readSummary(output).pages).toBe(oddSiteCounts[200] + oddSiteCounts[404]),
  ],
  ["create role", proveTheRole],
];

/**
 * Tests that run the blocks of the documents in their order, each with what must be true after it.
 * Blocks that do not depend on each other may run in different files.
 */
export function walkThrough(manner: Manner, isWanted: (block: Block) => boolean): void {
  const walk = new Walk(manner);
  const blocks = order.filter(isWanted);
  afterAll(() => walk.end());

  describe(`in the order of the README, ${manner}`, () => {
    test.for(blocks.map((block) => [nameOf(block), block] as const))("%s", deadline, async ([, block]) => {
      if (block.text === `${pnpm} run test\n`) return expectTheCiRunToDoIt();
      const ran = await walk.execute(block);
      const found = facts.find(([pattern]) => block.text.includes(pattern));
      expect(found, "a block without a fact: add one to `facts`").toBeDefined();
      await found![1](walk, ran);
    });

    test("every fact belongs to a block", () => {
      expect(
        facts.map(([pattern]) => pattern).filter((pattern) => !order.some(({ text }) => text.includes(pattern))),
      ).toEqual([]);
    });

    if (!blocks.some(({ info }) => info["terminal"])) return;

    test("the worker ends by SIGTERM with exit code 0", deadline, async () => {
      const [worker] = await walk.rows<{ pid: number }>("select pid from hark.workers where dead_at is null");
      process.kill(worker!.pid, "SIGTERM");
      expect(await walk.terminal("worker").exited, walk.terminal("worker").said).toBe(0);
    });

    test("the database ends by Ctrl-C", deadline, async () => {
      walk.terminal("database").signalGroup("SIGINT");
      await walk.terminal("database").exited;
      const isGone = () =>
        walk.rows("select 1").then(
          () => false,
          () => true,
        );
      await eventually(isGone, { withinMs: 30_000, what: "the end of the database" });
    });
  });
}

/** The test run cannot run within itself. */
function expectTheCiRunToDoIt(): void {
  const script = readFileSync(`${root}.ci/run`, "utf8");
  expect(script).toContain(`\npnpm() { ${pnpm} "$@"; }\n`);
  expect(script).toMatch(/ check tests pnpm run test$/m);
}

/** Checks that the README's role may enqueue and cannot read any table. */
async function proveTheRole(walk: Walk): Promise<void> {
  const client = await walk.session();
  try {
    await client.query("set role shop_app");
    const { rows: enqueued } = await client.query(`select hark.enqueue('shop.order', '{"order": 1}')`);
    expect(enqueued).toHaveLength(1);
    const { rows: tables } = await client.query<{ name: string }>(
      "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = 'hark'",
    );
    expect(tables.length).toBeGreaterThan(8);
    for (const { name } of tables) {
      await expect(client.query(`select from ${name}`), name).rejects.toMatchObject({ code: "42501" });
      await expect(client.query(`delete from ${name}`), name).rejects.toMatchObject({ code: "42501" });
    }
  } finally {
    await client.query("reset role");
    client.release();
  }
}
