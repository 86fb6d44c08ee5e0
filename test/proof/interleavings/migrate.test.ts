import { AsyncLocalStorage } from "node:async_hooks";
import { migrate, openDatabase } from "@hark/core";
import { ledgerStatements, readMigrations, schemaVersionOn } from "@hark/core/internal";
import pg from "pg";
import { afterAll, expect } from "vitest";
import { test as base } from "../../support/fixtures.ts";
import { seedOfRun } from "../../support/random.ts";
import { createClock } from "./clock.ts";
import { mostOrders } from "./fixtures.ts";
import { explore } from "./interleaver.ts";
import type { Scenario, Step } from "./scenario.ts";

/** What a changed migration leaves out. */
type Omission = "lock" | "second look" | undefined;

/**
 * Statements before which a migrating process waits for its next step. They separate the looks, the
 * lock and the commit.
 */
const pauses = ["begin", ledgerStatements[0], "commit"];

/** The migration that a query belongs to. */
const asker = new AsyncLocalStorage<Process>();
const query = Reflect.get(pg.Client.prototype, "query") as (this: pg.Client, ...asked: unknown[]) => Promise<unknown>;
pg.Client.prototype.query = function (this: pg.Client, ...asked: unknown[]) {
  const process = asker.getStore();
  return process ? process.pass(this, asked) : query.apply(this, asked);
} as never;
afterAll(() => void (pg.Client.prototype.query = query as never));

/** One call of migrate() in steps. */
class Process {
  pid: number | undefined;
  #looks = 0;
  #answer: Promise<string[]> | undefined;
  #isOver = false;
  #arrived = Promise.withResolvers<undefined>();
  #goOn = () => {};
  readonly #connectionString: string;
  readonly #without: Omission;

  constructor(connectionString: string, without: Omission) {
    this.#connectionString = connectionString;
    this.#without = without;
  }

  /** Goes on to the next pause, or to the end. Returns the result of migrate() once, at its end. */
  async advance(): Promise<string[] | undefined> {
    if (this.#isOver) return undefined;
    this.#arrived = Promise.withResolvers();
    if (this.#answer) this.#goOn();
    else {
      this.#answer = asker.run(this, () => migrate({ connectionString: this.#connectionString }));
      const end = () => void (this.#isOver = true);
      this.#answer.then(end, end);
    }
    return Promise.race([this.#arrived.promise, this.#answer]);
  }

  async pass(client: pg.Client, asked: unknown[]): Promise<unknown> {
    this.pid = (client as unknown as { processID: number }).processID;
    const [first] = asked as [string | { text: string }];
    const text = typeof first === "string" ? first : first.text;
    if (pauses.includes(text)) {
      const turn = Promise.withResolvers<void>();
      this.#goOn = turn.resolve;
      this.#arrived.resolve(undefined);
      await turn.promise;
    }
    if (this.#without === "lock" && text.includes("pg_advisory_xact_lock")) return { rows: [] };
    if (text.includes("to_regclass('hark.migrations')")) {
      this.#looks += 1;
      // The look under the lock, and the one that it is repeated with where there are tables.
      if (this.#without === "second look" && (this.#looks === 2 || this.#looks === 3))
        return { rows: [{ ledger: null }] };
    }
    return query.apply(client, asked);
  }
}

type World = Record<"one" | "two" | "three", Process>;

/** Three processes that migrate an empty database at once. */
function migrations(connectionString: string, without?: Omission): Scenario<World> {
  const steps = (name: keyof World): Step<World>[] =>
    ["look", "lock", "apply", "commit"].map((step) => ({ name: step, run: (_, world) => world[name].advance() }));
  return {
    sessions: { one: steps("one"), two: steps("two"), three: steps("three") },
    clear: async (db) => void (await db.query({ text: "drop schema if exists hark cascade", values: [] })),
    prepare: async () => ({
      one: new Process(connectionString, without),
      two: new Process(connectionString, without),
      three: new Process(connectionString, without),
    }),
    pidOf: (session, world) => world[session as keyof World].pid,
    async judge(db, _, { answers }) {
      const applied = Object.values(answers).filter((answer) => answer !== undefined) as string[][];
      const all = (await readMigrations()).map(({ name }) => name);
      const did = applied.filter((names) => names.length > 0);
      const { pending } = await schemaVersionOn(db);
      const wrong = [];
      if (applied.length !== 3) wrong.push(`${applied.length} answers`);
      if (did.length !== 1 || did[0]!.join() !== all.join()) wrong.push(`applied by ${did.length}`);
      if (pending.length > 0) wrong.push(`${pending.length} migrations are missing`);
      return wrong;
    },
  };
}

const test = base.extend("exploreMigrations", ({ server }) => async (without?: Omission) => {
  const connectionString = await server.createDatabase();
  const db = openDatabase({ connectionString });
  try {
    await createClock(db);
  } finally {
    await db.close();
  }
  // A migration takes ten times as long as a run of the other scenarios.
  const most = Math.ceil(mostOrders / 10);
  return explore(migrations(connectionString, without), { connectionString, most, seed: seedOfRun() });
});

test(
  "in any order in which three processes look, lock, apply and commit, one migrates and none fails",
  { tags: ["FM-43"] },
  async ({ exploreMigrations }) => {
    const { broken, waits } = await exploreMigrations();
    expect(broken).toBeUndefined();
    expect(waits).toBeGreaterThan(0);
  },
);

test.for(["lock", "second look"] as const)(
  "a migration without its %s is found",
  async (without, { exploreMigrations }) => {
    expect((await exploreMigrations(without)).broken).toMatch(
      /(apply|lock) failed: .*(duplicate key|already exists|SchemaWithoutLedgerError)/,
    );
  },
);
