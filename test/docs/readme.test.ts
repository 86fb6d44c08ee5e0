import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import pg from "pg";
import { afterAll, describe, expect } from "vitest";
import { serveFolder } from "../../examples/datashelf/dist/static-site.js";
import { writeOddSite, oddSiteCounts } from "../../examples/datashelf/dist/testing/odd-site.js";
import { readSummary } from "../demo/summary.ts";
import { test } from "../setup/fixtures.ts";
import { eventually } from "../support/eventually.ts";
import { type Block, blocksOf, documents, nameOf, type Proof, proofOf, proseOf, root } from "./blocks.ts";
import { run, Terminal } from "./terminal.ts";

/** How long a command of the README may take, in ms. A demo is the longest. */
const commandMs = 120_000;
const deadline = { timeout: commandMs + 30_000 };
const pnpm = "npx -y pnpm@12";

const blocks = documents().flatMap(blocksOf);
const having = (...proofs: Proof[]) => blocks.filter((block) => proofs.includes(proofOf(block)!));

/** The programs are run in programs.test.ts. */
test("every block has a way to be proven", () => {
  expect(blocks.filter((block) => proofOf(block) === undefined).map(nameOf)).toEqual([]);
  expect(blocks.length).toBeGreaterThan(20);
});

describe("a listing is the file that it names", () => {
  test.for(having("file").map((block) => [nameOf(block), block] as const))("%s", ([, { info, text }]) => {
    expect(text).toBe(readFileSync(root + info["file"], "utf8"));
  });
});

/**
 * The two terminals of the tutorial, and the database that the first one starts: of a cluster of
 * its own, gone with it.
 */
const terminals = new Map<string, Terminal>();
let database: pg.Pool | undefined;
let databaseUrl = "";
afterAll(async () => {
  await database?.end();
  for (const terminal of terminals.values()) await terminal.end();
});

async function rows<Row extends pg.QueryResultRow>(query: string): Promise<Row[]> {
  if (!database) throw new Error("the terminal of the database has not told its address");
  return (await database.query<Row>(query)).rows;
}

async function counts(query: string, wanted: number, what: string): Promise<void> {
  const isSo = async () => Number((await rows<{ count: string }>(query))[0]?.count) === wanted;
  await eventually(isSo, { withinMs: 30_000, what, everyMs: 50 });
}

interface Ran {
  output: string;
  errors: string;
}

/** What has to be true after a block, by what its first line holds, in the order of the README. */
const facts: [pattern: string, fact: (ran: Ran) => Promise<void>][] = [
  [
    `${pnpm} run demo\n`,
    async ({ output }) => {
      const { pages, books, deadLetters, retries } = readSummary(output);
      expect([pages, books, Object.keys(deadLetters).length, retries]).toEqual([315, 293, 7, 23]); // of the seed 1
    },
  ],
  [
    `${pnpm} run db`,
    async () => {
      const [, url = ""] = await terminals.get("database")!.says(/^export DATABASE_URL=(postgres:\S+)$/m, 60_000);
      databaseUrl = url;
      database = new pg.Pool({ connectionString: url });
      database.on("error", () => {}); // the server goes before the pool does
      expect(await rows("select 1 as one")).toEqual([{ one: 1 }]);
    },
  ],
  [
    "migrate --roles",
    async ({ output }) => {
      expect(output).toContain("granted hark_producer, hark_worker, hark_reader, hark_admin");
      const { length } = await rows("select from pg_roles where rolname like 'hark\\_%' and not rolcanlogin");
      expect(length).toBe(4);
    },
  ],
  ["run hark migrate", async () => expect(await rows("select count(*) from hark.jobs")).toEqual([{ count: "0" }])],
  [
    "sign-up.ts",
    async ({ output }) => {
      expect(output).toMatch(/^job \d+ \w+$/m);
      expect(await rows("select email from users")).toEqual([{ email: "ada@example.com" }]);
      await counts("select count(*) from hark.jobs where state = 'ready'", 1, "one job that waits for its worker");
    },
  ],
  [
    "run hark work",
    () => counts("select count(*) from hark.finished_jobs where state = 'completed'", 1, "the welcome that was sent"),
  ],
  [
    "run hark enqueue",
    async ({ output }) => {
      expect(output).toMatch(/\b\d+\b/);
      await counts("select count(*) from hark.dead_jobs where attempt = 3", 1, "the dead letter, after three attempts");
    },
  ],
  ["dead list", async ({ output }) => expect(output).toMatch(/email\.welcome .*3\/3 .*there is no such mailbox/)],
  [
    "dead requeue --all",
    async ({ errors }) => {
      expect(errors).toContain("requeued 1");
      await counts(
        "select count(*) from hark.attempts where ending = 'error'",
        6,
        "three more attempts of the requeued job",
      );
      await counts("select count(*) from hark.dead_jobs where attempt = 3", 1, "the dead letter, for the second time");
    },
  ],
  [
    "run hark stats",
    async ({ output }) => {
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
    async ({ output }) => expect(output.match(/ GMT-0[45]\S* +\d{4}-\S+T0[67]:[03]0:00\.000Z$/gm)).toHaveLength(5),
  ],
  [
    "hark.enqueue(",
    () => counts("select count(*) from hark.finished_jobs where state = 'completed'", 2, "the job enqueued by SQL"),
  ],
  [
    "run demo --books 40 --workers 3",
    async ({ output }) => expect(output).toMatch(/with 3 worker processes[^]*^Summary$/m),
  ],
  [
    "run demo --site",
    async ({ output }) => expect(readSummary(output).pages).toBe(oddSiteCounts[200] + oddSiteCounts[404]),
  ],
  ["create role", proveTheRole],
];

describe("in the order of the README", () => {
  const order = having("command", "terminal", "example", "sql");

  test.for(order.map((block) => [nameOf(block), block] as const))("%s", deadline, async ([, block]) => {
    if (block.text === `${pnpm} run test\n`) return expectTheCiRunToDoIt();
    const ran = await execute(block);
    const found = facts.find(([pattern]) => block.text.includes(pattern));
    expect(found, "a block without a fact to be true after it: tell it in `facts`").toBeDefined();
    await found![1](ran);
  });

  test("every fact belongs to a block", () => {
    expect(
      facts.map(([pattern]) => pattern).filter((pattern) => !order.some(({ text }) => text.includes(pattern))),
    ).toEqual([]);
  });

  test("the worker ends by SIGTERM with exit code 0", deadline, async () => {
    const [worker] = await rows<{ pid: number }>("select pid from hark.workers where dead_at is null");
    process.kill(worker!.pid, "SIGTERM");
    expect(await terminals.get("worker")!.exited, terminals.get("worker")!.said).toBe(0);
  });

  test("the database ends by Ctrl-C", deadline, async () => {
    terminals.get("database")!.signalGroup("SIGINT");
    await terminals.get("database")!.exited;
    await eventually(
      () =>
        rows("select 1").then(
          () => false,
          () => true,
        ),
      { withinMs: 30_000, what: "the end of the database" },
    );
  });
});

async function execute(block: Block): Promise<Ran> {
  const proof = proofOf(block);
  if (proof === "terminal") {
    const terminal = new Terminal(block.text, databaseUrl === "" ? {} : { DATABASE_URL: databaseUrl });
    terminals.set(block.info["terminal"]!, terminal);
    return terminal;
  }
  if (proof === "sql") {
    await rows(block.text);
    return { output: "", errors: "" };
  }
  if (proof === "example") return await onOurSite((url) => succeed(block.text.replace("http://127.0.0.1:8080/", url)));
  return await succeed(block.text);
}

async function succeed(commandLine: string): Promise<Ran> {
  const ran = await run(commandLine, databaseUrl === "" ? {} : { DATABASE_URL: databaseUrl }, commandMs);
  expect(ran.code, ran.said).toBe(0);
  return ran;
}

async function onOurSite<Answer>(work: (url: string) => Promise<Answer>): Promise<Answer> {
  const folder = await mkdtemp(join(tmpdir(), "hark-readme-"));
  await writeOddSite(folder);
  const site = await serveFolder(folder);
  try {
    return await work(site.url);
  } finally {
    await site.close();
    await rm(folder, { recursive: true });
  }
}

/** It cannot run within itself. */
function expectTheCiRunToDoIt(): void {
  const script = readFileSync(`${root}.ci/run`, "utf8");
  expect(script).toContain(`\npnpm() { ${pnpm} "$@"; }\n`);
  expect(script).toMatch(/ check tests pnpm run test$/m);
}

/** The role of the README may enqueue, and sees no table. */
async function proveTheRole(): Promise<void> {
  const client = await database!.connect();
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

describe("the diagram", () => {
  test.for(having("diagram").map((block) => [nameOf(block), block] as const))("%s", async ([, { document, text }]) => {
    const node = String.raw`(\w+)(\[\("[^"]+"\)\]|\["[^"]+"\])?`;
    const edge = new RegExp(`^  ${node} -- "[^"]+" --> ${node}$|^  ${node} --> ${node}$`);
    const [head, ...lines] = text.trimEnd().split("\n");
    expect(head).toBe("flowchart LR");
    expect(lines.filter((line) => !edge.test(line))).toEqual([]);

    const labelled = lines.flatMap((line) => [...line.matchAll(/(\w+)(?:\[\("|\[")/g)].map(([, name]) => name!));
    expect(labelled.length).toBe(new Set(labelled).size); // a second label would silently win

    if (document !== "ARCHITECTURE.md") return; // whose picture is of the worker's parts

    // "One file for each box of the picture": those that are neither a table nor the reader's own.
    const names = new Set(
      lines.flatMap((line) =>
        edge
          .exec(line)!
          .slice(1)
          .filter((part) => /^\w+$/.test(part ?? "")),
      ),
    );
    const boxes = [...names].filter((name) => name !== "app" && !new RegExp(`\\b${name}\\[\\(`).test(text));
    expect(boxes.length).toBeGreaterThan(4);
    const files = (await readdir(`${root}packages/worker/src`, { recursive: true })).map((file) =>
      file.split("/").at(-1),
    );
    expect(boxes.filter((box) => !files.includes(`${box}.ts`))).toEqual([]);
  });
});

test("every link and every path that a document names leads to a file", () => {
  const missing = documents().flatMap((document) => {
    const prose = proseOf(document);
    const links = [...prose.matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g)].map(([, link]) => join(dirname(document), link!));
    const paths = [...prose.matchAll(/`((?:packages|examples|test|docs|drizzle|bench)\/[\w./-]+)`/g)].map(
      ([, path]) => path!,
    );
    return [...links, ...paths].filter((path) => !existsSync(root + path)).map((path) => `${document}: ${path}`);
  });
  expect(missing).toEqual([]);
});
