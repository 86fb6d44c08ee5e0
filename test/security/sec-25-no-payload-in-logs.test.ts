// @module-tag SEC-25
import { spawnSync } from "node:child_process";
import { cancelJob, defineJob, type JobDefinition, openDatabase, requeueDeadJob } from "@hark/core";
import { createProducer } from "@hark/producer";
import { implement } from "@hark/worker";
import * as v from "valibot";
import { describe, expect } from "vitest";
import { z } from "zod";
import { root } from "../docs/blocks.ts";
import { test as base } from "../support/fixtures.ts";
import { insertJob, untilState } from "../support/jobs.ts";
import { recordingLogger } from "../support/recording-logger.ts";

/*
 * SEC-25: no log line and no error holds data of a payload, a result or a connection string,
 * whatever goes wrong. The text of an error that a handler throws is kept.
 */

const marker = "4111-1111-1111-1111";
const secret = { card: marker, nested: { list: [marker, { [`note`]: `pay with ${marker}` }] } };

const test = base.extend("logger", () => recordingLogger());

/**
 * All text that can be read from a value, including properties that are not enumerable, causes, and
 * symbols.
 */
function everythingOf(value: unknown, seen = new Set<unknown>()): string {
  if (typeof value !== "object" || value === null) return typeof value === "string" ? value : String(value);
  if (seen.has(value)) return "";
  seen.add(value);
  const keys = Reflect.ownKeys(value);
  return keys
    .map((key) => `${String(key)}: ${everythingOf((value as Record<PropertyKey, unknown>)[key], seen)}`)
    .join("\n");
}

const thrownBy = async (work: () => unknown): Promise<unknown> => {
  try {
    await work();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
};

describe("errors of enqueueing", () => {
  const job = defineJob("pay.card");

  test.for([
    ["deeper than JSON may be", () => Array.from({ length: 70 }).reduce((inner: unknown) => ({ inner }), secret)],
    ["with a NUL", () => ({ ...secret, text: `${marker}\0` })],
    ["with a Date", () => ({ ...secret, at: new Date() })],
    ["over the limit", () => ({ card: marker.repeat(20_000) })],
    ["in a circle", circle],
  ] as const)("a payload %s", async ([, payload], { producer }) => {
    const error = await thrownBy(() => producer.enqueue(job, payload()));
    expect((error as { code: string }).code).toMatch(/^(INVALID_PAYLOAD|PAYLOAD_TOO_LARGE)$/);
    expect(everythingOf(error)).not.toContain(marker);
  });

  test("a payload that its schema refuses, with libraries that quote the input", async ({ producer }) => {
    const schemas = [
      v.object({ card: v.number(), nested: v.string() }),
      v.strictObject({ card: v.literal("none") }),
      v.object({ card: v.pipe(v.string(), v.startsWith("5")) }),
      v.object({ card: v.union([v.number(), v.boolean()]) }),
      z.object({ card: z.number() }),
      z.object({ card: z.enum(["none"]) }),
      z.object({ card: z.string().refine(() => false, { error: ({ input }) => `no such card: ${String(input)}` }) }),
    ];
    for (const payload of schemas) {
      const error = await thrownBy(() =>
        producer.enqueue(defineJob("pay.checked", { payload: payload as v.GenericSchema<unknown> }), secret),
      );
      expect((error as { code: string }).code).toBe("INVALID_PAYLOAD");
      expect(everythingOf(error)).not.toContain(marker);
      expect((error as Error).message).toContain("card"); // the path of the error is still there
    }
  });

  test("a batch, a source and a transaction", async ({ producer, db }) => {
    const bad = { ...secret, at: new Date() };
    for (const work of [
      () =>
        producer.enqueueMany([
          { job, payload: secret },
          { job, payload: bad },
        ]),
      () =>
        producer.enqueueFrom([
          { job, payload: secret },
          { job, payload: bad },
        ]),
      () => db.transaction((tx) => producer.in(tx).enqueue(job, bad)),
    ])
      expect(everythingOf(await thrownBy(work))).not.toContain(marker);
  });
});

function circle(): unknown {
  const inner: { card: string; self?: unknown } = { card: marker };
  inner.self = inner;
  return inner;
}

describe("errors of PostgreSQL while enqueueing", () => {
  const job = defineJob("pay.card");
  const cases: [what: string, set: string, undo: string, code: string][] = [
    [
      "a check is violated",
      `alter table hark.jobs add constraint trap check (payload ->> 'card' is null)`,
      "alter table hark.jobs drop constraint trap",
      "23514",
    ],
    [
      "a unique index is violated",
      `create unique index trap on hark.jobs ((payload ->> 'card'))`,
      "drop index hark.trap",
      "23505",
    ],
    [
      "a trigger fails on the data",
      `create function public.trap() returns trigger language plpgsql as $$ begin perform (new.payload ->> 'card')::integer; return new; end $$;
       create trigger trap before insert on hark.jobs for each row execute function public.trap()`,
      "drop function public.trap cascade",
      "22P02",
    ],
    [
      "a trigger parses the data as JSON",
      `create function public.trap() returns trigger language plpgsql as $$ begin perform ('{' || (new.payload ->> 'card'))::json; return new; end $$;
       create trigger trap before insert on hark.jobs for each row execute function public.trap()`,
      "drop function public.trap cascade",
      "22P02",
    ],
  ];
  test.for(cases)("%s", async ([, set, undo, code], { pool, producer, db }) => {
    await pool.query("delete from hark.jobs");
    await producer.enqueue(job, secret).catch(() => {});
    if (code === "23505") await pool.query(set);
    else {
      await pool.query("delete from hark.jobs");
      await pool.query(set);
    }
    try {
      for (const work of [
        () => producer.enqueue(job, secret),
        () => producer.enqueueMany([{ job, payload: secret }]),
        () => db.transaction((tx) => producer.in(tx).enqueue(job, secret)),
        () => insertJob(db, { queue: "default", payloadJson: JSON.stringify(secret) }),
      ]) {
        const error = await thrownBy(work);
        expect((error as { code: string }).code).toBe(code);
        expect(everythingOf(error)).not.toContain(marker);
      }
    } finally {
      await pool.query(undo);
    }
  });

  test("PostgreSQL itself does quote the row", async ({ pool }) => {
    const insert = `insert into hark.jobs (queue, type, payload, priority, attempt, max_attempts, crash_count, run_at, created_at, state)
       values ('default', 'Bad Name', $1, 0, 0, 3, 0, now(), now(), 'ready')`;
    expect(everythingOf(await thrownBy(() => pool.query(insert, [secret])))).toContain(marker);
  });
});

describe("log lines and dead letters of a worker", () => {
  test(
    "the error of a handler is kept, truncated in the log, and its payload is not",
    { tags: ["CLOSED-3"] },
    async ({ producer, queue, startWorker, db, logger }) => {
      const job = defineJob("pay.throws", { retry: { attempts: 2, backoff: { base: 10 } } });
      await startWorker(
        [
          implement(job, ({ log, payload }) => {
            log.info({ payload, result: payload, step: 1 }, "charging");
            throw Object.assign(new Error(`the bank is closed ${"x".repeat(50_000)}`), { request: payload });
          }),
        ],
        { queues: { [queue]: 1 }, logger },
      );
      const { id } = await producer.enqueue(job, secret, { queue });
      const dead = await untilState(db, id, "dead");
      expect(dead.error).toContain("the bank is closed");
      expect(Buffer.byteLength(dead.error!)).toBeLessThanOrEqual(16_384);
      expect(everythingOf([dead.error, dead.attempts])).not.toContain(marker);
      expect(everythingOf(logger.lines)).not.toContain(marker);
      const said = logger.lines.filter(({ message }) => /job failed|dead letter/.test(message));
      expect(said).toHaveLength(2);
      for (const { facts } of said) {
        expect(facts["error"]).toContain("the bank is closed");
        expect(String(facts["error"]).length).toBeLessThan(600);
      }
    },
  );

  test("a payload that no longer fits its schema", async ({ producer, queue, startWorker, db, logger }) => {
    const { id } = await producer.enqueue(defineJob("pay.changed"), secret, { queue });
    const strict = defineJob("pay.changed", {
      payload: v.object({ card: v.number(), nested: v.object({ list: v.number() }) }),
    });
    await startWorker([implement(strict as JobDefinition, () => {})], { queues: { [queue]: 1 }, logger });
    const dead = await untilState(db, id, "dead");
    expect(dead.reason).toBe("invalid_payload");
    expect(dead.error).toMatch(/card: .*\[hidden\]/);
    expect(everythingOf([dead.error, dead.attempts, logger.lines])).not.toContain(marker);
  });

  const settling: [what: string, table: string, does: "succeeds" | "fails"][] = [
    ["a success", "finished_jobs", "succeeds"],
    ["a dead letter", "dead_jobs", "fails"],
    ["a line of the ledger", "attempts", "fails"],
  ];
  test.for(settling)(
    "an error of PostgreSQL while %s is settled",
    { timeout: 60_000 },
    async ([, table, does], { producer, queue, startWorker, db, pool, logger }) => {
      const job = defineJob(`pay.settles`, { retry: { attempts: 1 } });
      await pool.query(
        `create or replace function public.trap() returns trigger language plpgsql as $$ begin
         if new.queue = '${queue}' then raise exception 'trapped' using errcode = '23514', detail = to_jsonb(new)::text, hint = to_jsonb(new)::text; end if;
         return new; end $$;
       create trigger trap before insert on hark.${table} for each row execute function public.trap()`,
      );
      try {
        await startWorker(
          [
            implement(job, () => {
              if (does === "fails") throw new Error("no stock");
              return { receipt: marker };
            }),
          ],
          { queues: { [queue]: 1 }, logger },
        );
        const { id } = await producer.enqueue(job, secret, { queue });
        const said = () => logger.lines.some(({ message }) => message.startsWith("the database rejected an outcome"));
        await expect.poll(said, { timeout: 20_000 }).toBe(true);
        if (does === "succeeds") {
          const dead = await untilState(db, id, "dead");
          expect(dead.error).toContain("trapped");
          expect(everythingOf([dead.error, dead.attempts])).not.toContain(marker);
        }
        expect(everythingOf(logger.lines)).toContain("trapped");
        expect(everythingOf(logger.lines)).not.toContain(marker);
      } finally {
        await pool.query("drop function public.trap cascade");
      }
    },
  );

  test("an error of PostgreSQL while jobs are claimed, cancelled and requeued", async ({
    producer,
    queue,
    startWorker,
    db,
    pool,
    logger,
  }) => {
    const job = defineJob("pay.claims");
    await pool.query(`alter table hark.running_jobs add constraint trap check (payload ->> 'card' is null) not valid`);
    await pool.query(`alter table hark.finished_jobs add constraint trap check (payload ->> 'card' is null) not valid`);
    try {
      await startWorker([implement(job, () => {})], { queues: { [queue]: 1 }, logger });
      const { id } = await producer.enqueue(job, secret, { queue });
      await expect.poll(() => everythingOf(logger.lines), { timeout: 20_000 }).toContain("step failed");
      expect(everythingOf(logger.lines)).toContain("trap");
      expect(everythingOf(logger.lines)).not.toContain(marker);

      const error = await thrownBy(() => cancelJob(db, id));
      expect((error as { code: string }).code).toBe("23514");
      expect(everythingOf(error)).not.toContain(marker);
      await pool.query(`alter table hark.jobs add constraint trap check (payload ->> 'card' is null) not valid`);
      await pool.query(
        `insert into hark.dead_jobs select id, queue, type, payload, priority, 1, max_attempts, 0, key, unique_key, run_at, created_at,
           'unrecoverable', 'Error: no', now(), now() from hark.jobs where id = $1`,
        [String(id)],
      );
      expect(everythingOf(await thrownBy(() => requeueDeadJob(db, id)))).not.toContain(marker);
    } finally {
      await pool.query(
        `alter table hark.running_jobs drop constraint trap; alter table hark.finished_jobs drop constraint trap;
         alter table hark.jobs drop constraint if exists trap`,
      );
    }
  });
});

describe("connection strings", () => {
  test("no error of connecting has the password", async () => {
    for (const connectionString of [
      `postgres://user:${marker}@127.0.0.1:1/db`,
      `postgres://user:${marker}@host:notaport/db`,
      `postgres://user:${marker}@no-such-host.invalid/db`,
      `postgres://127.0.0.1:1/db?password=${marker}`,
    ]) {
      const error = await thrownBy(async () => {
        const db = openDatabase({ connectionString });
        try {
          await createProducer({ database: db }).enqueue(defineJob("x"), {});
        } finally {
          await db.close();
        }
      });
      expect(everythingOf(error)).not.toContain(marker);
    }
  });
});

test("the logger of createLogger hides secrets by itself", () => {
  const program = `
    import { createLogger } from "${root}packages/core/dist/index.js";
    const log = createLogger("debug");
    const error = Object.assign(new Error('invalid input syntax for type integer: "${marker}"'), {
      severity: "ERROR", code: "22P02", detail: "${marker}", where: "${marker}", request: { card: "${marker}" } });
    log.error({ error }, "failed");
    log.error({ err: new Error("outer", { cause: error }) }, "failed");
    log.error(error, "failed");
    log.info({ payload: { card: "${marker}" }, result: "${marker}", job: { payload: "${marker}" } }, "done");
    log.info({ connectionString: "postgres://user:${marker}@host/db" }, "connecting");
    log.child({ payload: "${marker}" }).warn({ url: "postgres://user:${marker}@host/db" }, "connecting");
    log.child({ db: { Password: "${marker}" }, ApiKey: "${marker}" }).child({ "X-Auth-Token": "${marker}" }).info("in children");
    log.info("to postgres://user:a/${marker}@host/db with %s and %j", "Bearer ${marker}", { secret: "${marker}" });
    log.error(new Error("token=${marker}"));
    log.error({ err: new Error("password=${marker}") });
    log.error({ Authorization: "${marker}", msg: "token=${marker}" });`;
  const said = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" }).stderr;
  expect(said.trim().split("\n")).toHaveLength(11);
  expect(said).not.toContain(marker);
  expect(said).toMatch(/"message":"invalid input syntax for type integer: \\"\[hidden\]\\""/);
  expect(said).toContain("postgres://user:***@host/db");
});
