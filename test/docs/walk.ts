import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { expect } from "vitest";
import { serveFolder } from "../../examples/datashelf/dist/static-site.js";
import { writeOddSite } from "../../examples/datashelf/dist/testing/odd-site.js";
import { eventually } from "../support/eventually.ts";
import { type Block, proofOf } from "./blocks.ts";
import { type Manner, run, Terminal } from "./terminal.ts";

/** How long a command of the README may take, in ms. Demos take longest. */
export const commandMs = 120_000;

export interface Ran {
  output: string;
  errors: string;
}

/** A walk through the README: its two terminals, and the database that the first one starts. */
export class Walk {
  readonly #manner: Manner;
  readonly #terminals = new Map<string, Terminal>();
  #database: pg.Pool | undefined;
  #databaseUrl = "";

  constructor(manner: Manner) {
    this.#manner = manner;
  }

  /** Returns a terminal by the name in its block. */
  terminal(name: string): Terminal {
    const found = this.#terminals.get(name);
    if (!found) throw new Error(`no block has opened the terminal ${name}`);
    return found;
  }

  get #environment(): Record<string, string> {
    return this.#databaseUrl === "" ? {} : { DATABASE_URL: this.#databaseUrl };
  }

  connect(url: string): void {
    this.#databaseUrl = url;
    this.#database = new pg.Pool({ connectionString: url });
    this.#database.on("error", () => {}); // the server ends before the pool
  }

  async rows<Row extends pg.QueryResultRow>(query: string): Promise<Row[]> {
    return (await this.#pool.query<Row>(query)).rows;
  }

  async session(): Promise<pg.PoolClient> {
    return await this.#pool.connect();
  }

  get #pool(): pg.Pool {
    if (!this.#database) throw new Error("the terminal of the database has not printed its address");
    return this.#database;
  }

  async counts(query: string, wanted: number, what: string): Promise<void> {
    const isSo = async () => Number((await this.rows<{ count: string }>(query))[0]?.count) === wanted;
    await eventually(isSo, { withinMs: 30_000, what, everyMs: 50 });
  }

  async execute(block: Block): Promise<Ran> {
    switch (proofOf(block)) {
      case "terminal": {
        const terminal = new Terminal(block.text, this.#environment, this.#manner);
        this.#terminals.set(block.info["terminal"]!, terminal);
        return terminal;
      }
      case "sql":
        await this.rows(block.text);
        return { output: "", errors: "" };
      case "example":
        return await onOurSite((url) => this.#succeed(block.text.replace("http://127.0.0.1:8080/", url)));
      default:
        return await this.#succeed(block.text);
    }
  }

  async #succeed(commandLine: string): Promise<Ran> {
    const ran = await run(commandLine, this.#environment, commandMs, this.#manner);
    expect(ran.code, ran.said).toBe(0);
    return ran;
  }

  async end(): Promise<void> {
    await this.#database?.end();
    for (const terminal of this.#terminals.values()) await terminal.end();
  }
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
