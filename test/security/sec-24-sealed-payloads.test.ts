// @module-tag SEC-24
import { randomBytes, webcrypto } from "node:crypto";
import {
  createPayloadCipher,
  defineJob,
  getJob,
  listDeadJobs,
  PayloadUnreadableError,
  requeueDeadJob,
} from "@hark/core";
import { createProducer } from "@hark/producer";
import { implement } from "@hark/worker";
import { describe, expect } from "vitest";
import { z } from "zod";
import { eventually } from "../support/eventually.ts";
import { test } from "../support/fixtures.ts";
import { untilState } from "../support/jobs.ts";

/*
 * SEC-24: payloads may be sealed with AES-256-GCM under keys that the database never sees, bound to
 * their job's type and queue.
 */

const marker = "4111-1111-1111-1111";
const place = { type: "pay.card", queue: "payments" };
const key = () => randomBytes(32);
const reasonOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(PayloadUnreadableError);
    return String((error as PayloadUnreadableError).facts["why"]);
  }
  throw new Error("it opened");
};

describe("the cipher", () => {
  test("opens any JSON that it sealed, and never seals twice to the same text", () => {
    const cipher = createPayloadCipher({ keys: { a: key() }, current: "a" });
    for (const payload of [
      null,
      true,
      0,
      "",
      "ü🔑",
      [],
      {},
      { card: marker, deep: [{ n: 1.5 }] },
      "x".repeat(262_142),
    ]) {
      const sealed = cipher.seal(JSON.stringify(payload), place);
      expect(cipher.open(JSON.parse(sealed), place)).toEqual(payload);
      expect(sealed).not.toContain(marker);
    }
    const seals = new Set(Array.from({ length: 1_000 }, () => cipher.seal("1", place)));
    expect(seals.size).toBe(1_000);
  });

  test("opens two vectors: one from its first version, and one from another implementation", async () => {
    const vectorKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const cipher = createPayloadCipher({ keys: { "2026-11": vectorKey }, current: "2026-11" });
    const iv = Buffer.from("0f0e0d0c0b0a090807060504", "hex");
    const additionalData = Buffer.from(`["hark",1,"2026-11","pay.card","payments"]`);
    const imported = await webcrypto.subtle.importKey("raw", Buffer.from(vectorKey, "hex"), "AES-GCM", false, [
      "encrypt",
    ]);
    const encrypted = await webcrypto.subtle.encrypt(
      { name: "AES-GCM", iv, additionalData, tagLength: 128 },
      imported,
      Buffer.from(`{"card":"${marker}"}`),
    );
    const sealed = `v1.2026-11.${iv.toString("base64url")}.${Buffer.from(encrypted).toString("base64url")}`;
    expect(sealed).toBe(vector);
    expect(cipher.open({ "hark:sealed": vector }, place)).toEqual({ card: marker });
  });

  test("does not open a text with any changed byte", () => {
    const cipher = createPayloadCipher({ keys: { a: key() }, current: "a" });
    const { "hark:sealed": sealed } = JSON.parse(cipher.seal(`{"card":"${marker}"}`, place)) as {
      "hark:sealed": string;
    };
    const [version, id, iv, text] = sealed.split(".") as [string, string, string, string];
    const flipped = (part: string) =>
      Array.from(Buffer.from(part, "base64url"), (_, at) => {
        const bytes = Buffer.from(part, "base64url");
        bytes[at]! ^= 1;
        return bytes.toString("base64url");
      });
    const forged = [
      ...flipped(iv).map((other) => [version, id, other, text]),
      ...flipped(text).map((other) => [version, id, iv, other]),
      [version, id, iv, text.slice(0, -4)],
      [version, id, iv, `${text}AAAA`],
      [version, id, iv, ""],
      [version, "b", iv, text],
      ["v2", id, iv, text],
      [version, id, iv],
    ].map((parts) => parts.join("."));
    expect(forged.length).toBeGreaterThan(50);
    for (const each of forged) reasonOf(() => cipher.open({ "hark:sealed": each }, place));
    expect(cipher.open({ "hark:sealed": sealed }, place)).toEqual({ card: marker });
  });

  test("opens only for its own type and queue, and only under its own key", () => {
    const keys = { a: key(), b: key() };
    const cipher = createPayloadCipher({ keys, current: "a" });
    const sealed: unknown = JSON.parse(cipher.seal("1", place));
    for (const other of [
      { ...place, type: "pay.refund" },
      { ...place, queue: "other" },
      { type: "payments", queue: "pay.card" },
    ])
      expect(reasonOf(() => cipher.open(sealed, other))).toMatch(/another type or queue/);
    expect(reasonOf(() => createPayloadCipher({ keys: { b: keys.b }, current: "b" }).open(sealed, place))).toMatch(
      /key a is not among/,
    );
    expect(reasonOf(() => createPayloadCipher({ keys: { a: keys.b }, current: "a" }).open(sealed, place))).toMatch(
      /key is another one called a/,
    );
    const renamed = { "hark:sealed": (sealed as { "hark:sealed": string })["hark:sealed"].replace("v1.a.", "v1.b.") };
    expect(reasonOf(() => createPayloadCipher({ keys: { b: keys.a }, current: "b" }).open(renamed, place))).toMatch(
      /another one called b/,
    );
  });

  test("accepts plain payloads, unless it is configured not to", () => {
    const keys = { a: key() };
    const plain = { card: "5", "hark:sealed": 1 };
    expect(createPayloadCipher({ keys, current: "a" }).open(plain, place)).toBe(plain);
    expect(reasonOf(() => createPayloadCipher({ keys, current: "a", plain: "refused" }).open(plain, place))).toMatch(
      /not sealed/,
    );
  });

  test("accepts keys as bytes, hex or base64, and refuses everything else without showing it", () => {
    const bytes = key();
    const sealed: unknown = JSON.parse(createPayloadCipher({ keys: { a: bytes }, current: "a" }).seal("7", place));
    for (const given of [
      bytes.toString("hex"),
      bytes.toString("base64"),
      bytes.toString("base64url"),
      new Uint8Array(bytes),
    ])
      expect(createPayloadCipher({ keys: { a: given }, current: "a" }).open(sealed, place)).toBe(7);
    for (const options of [
      { keys: {}, current: "a" },
      { keys: { a: bytes }, current: "b" },
      { keys: { a: "secret-password" }, current: "a" },
      { keys: { a: bytes.subarray(1) }, current: "a" },
      { keys: { "a.b": bytes }, current: "a.b" },
      { keys: { a: bytes }, current: "a", plain: "maybe" as never },
    ]) {
      let thrown: unknown;
      try {
        createPayloadCipher(options);
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toMatchObject({ code: "INVALID_OPTIONS" });
      expect(String(thrown)).not.toContain("secret-password");
    }
  });
});

/** Sealed by the first version. Later versions must still open it. */
const vector = "v1.2026-11.Dw4NDAsKCQgHBgUE.3xLSPSmzjZTJ64BuCbe4MFhXMlH-aMBJZ3ifzhB3gmmTsFDiiiMAlZO4kpN1hQ";

describe("a queue with sealed payloads", () => {
  const job = defineJob("pay.card", {
    payload: z.object({ card: z.string(), amount: z.number().default(5) }),
    retry: { attempts: 3, backoff: { base: 10 } },
  });

  test("runs them like plain ones, and neither the database nor any output shows them", async ({
    db,
    queue,
    startWorker,
    pool,
  }) => {
    const cipher = createPayloadCipher({ keys: { a: key() }, current: "a" });
    const producer = createProducer({ database: db, cipher });
    const seen: unknown[] = [];
    const options = { queue };
    const ids = [
      (await producer.enqueue(job, { card: marker }, options)).id,
      ...(await producer.enqueueMany([{ job, payload: { card: marker }, options }])).map(({ id }) => id),
      (await db.transaction((tx) => producer.in(tx).enqueue(job, { card: marker }, options))).id,
    ];
    await producer.enqueueFrom([{ job, payload: { card: marker }, options }]);
    expect((await getJob(db, ids[0]!))?.payload).toBe("[encrypted]");
    await startWorker(
      [
        implement(job, ({ payload, attempt }) => {
          if (attempt === 1) throw new Error("try again");
          if (seen.push(payload) === 1) throw new Error("and again");
        }),
      ],
      { queues: { [queue]: 1 }, cipher },
    );
    for (const id of ids) await untilState(db, id, "completed");
    await eventually(() => seen.length === 5, { withinMs: 55_000 });
    expect(seen).toEqual(Array.from({ length: 5 }, () => ({ card: marker, amount: 5 })));
    for (const table of ["jobs", "running_jobs", "finished_jobs", "dead_jobs", "attempts"]) {
      const { rows } = await pool.query<{ text: string }>(`select t::text as text from hark.${table} t`);
      expect(
        rows.filter(({ text }) => text.includes(marker)),
        table,
      ).toEqual([]);
    }
    expect((await getJob(db, ids[0]!))?.payload).toBe("[encrypted]");
  });

  const unreadable: [what: string, worker: "other key" | "no cipher" | "strict", reason: RegExp][] = [
    ["with a different key of that name", "other key", /its key is another one/],
    ["without a cipher", "no cipher", /has no cipher/],
    ["that accepts no plain payloads", "strict", /not sealed/],
  ];
  test.for(unreadable)(
    "a worker %s buries the job at once, and it runs after the worker is fixed and the job requeued",
    async ([, kind, reason], { db, queue, startWorker }) => {
      const keys = { a: key() };
      const cipher = createPayloadCipher({ keys, current: "a" });
      const producer = createProducer({ database: db, ...(kind !== "strict" && { cipher }) });
      const { id } = await producer.enqueue(job, { card: marker }, { queue });
      const given = {
        "other key": createPayloadCipher({ keys: { a: key() }, current: "a" }),
        "no cipher": undefined,
        strict: createPayloadCipher({ keys, current: "a", plain: "refused" }),
      }[kind];
      let runs = 0;
      const handler = implement(job, () => void (runs += 1));
      const worker = await startWorker([handler], { queues: { [queue]: 1 }, ...(given && { cipher: given }) });

      const dead = await untilState(db, id, "dead");
      expect(dead).toMatchObject({ reason: "payload_unreadable", attempt: 1 });
      expect(dead.error).toMatch(reason);
      expect(dead.error).not.toContain(marker);
      expect(runs).toBe(0);
      const listed = (await listDeadJobs(db)).find((each) => each.id === id);
      expect(listed?.payload).toEqual(kind === "strict" ? { card: marker } : "[encrypted]");

      await worker.stop();
      await requeueDeadJob(db, id);
      await startWorker([handler], { queues: { [queue]: 1 }, cipher });
      await untilState(db, id, "completed");
      expect(runs).toBe(1);
    },
  );

  test("sealed payloads that were swapped between types or queues do not open", async ({
    db,
    queue,
    startWorker,
    pool,
  }) => {
    const cipher = createPayloadCipher({ keys: { a: key() }, current: "a" });
    const producer = createProducer({ database: db, cipher });
    const refund = defineJob("pay.refund", { payload: job.payload! });
    const other = `${queue}-other`;
    const one = await producer.enqueue(job, { card: marker }, { queue });
    const two = await producer.enqueue(refund, { card: "2" }, { queue });
    const three = await producer.enqueue(job, { card: "3" }, { queue: other });
    const swap = async (a: bigint, b: bigint) =>
      pool.query(
        `update hark.jobs set payload = (select payload from hark.jobs old where old.id = case when jobs.id = $1 then $2::bigint else $1::bigint end)
          where id in ($1, $2)`,
        [String(a), String(b)],
      );
    await swap(one.id, two.id);
    await pool.query("update hark.jobs set queue = $2 where id = $1", [String(three.id), queue]);
    const ran: unknown[] = [];
    const note = ({ payload }: { payload: unknown }) => void ran.push(payload);
    await startWorker([implement(job, note), implement(refund, note)], { queues: { [queue]: 3 }, cipher });
    for (const { id } of [one, two, three])
      expect((await untilState(db, id, "dead")).reason).toBe("payload_unreadable");
    expect(ran).toEqual([]);
  });

  test("no job is lost while a key is changed under load", async ({ db, queue, startWorker }) => {
    const keys = { old: key(), new: key() };
    const ciphers = {
      before: createPayloadCipher({ keys: { old: keys.old }, current: "old" }),
      both: createPayloadCipher({ keys, current: "new" }),
      after: createPayloadCipher({ keys: { new: keys.new }, current: "new" }),
    };
    const done = new Set<string>();
    const handler = implement(job, ({ payload }) => void done.add(payload.card));
    const enqueue = (phase: keyof typeof ciphers, from: number) =>
      Promise.all(
        Array.from({ length: 200 }, (_, n) =>
          createProducer({ database: db, cipher: ciphers[phase] }).enqueue(
            job,
            { card: `${from + n}` },
            { queue, delay: n % 3 },
          ),
        ),
      );
    const options = { queues: { [queue]: 10 } };
    const first = await startWorker([handler], { ...options, cipher: ciphers.before });
    await enqueue("before", 0);
    const second = await startWorker([handler], { ...options, cipher: ciphers.both });
    await first.stop(); // all workers can read both keys before a producer seals with the new one
    await Promise.all([enqueue("before", 200), enqueue("both", 400)]);
    await eventually(() => done.size === 600, { withinMs: 30_000, what: "all jobs of both keys" });
    await startWorker([handler], { ...options, cipher: ciphers.after });
    await second.stop();
    const last = await enqueue("after", 600);
    for (const { id } of last) await untilState(db, id, "completed");
    expect(done.size).toBe(800);
    expect((await listDeadJobs(db, { limit: 200 })).filter((dead) => dead.queue === queue)).toEqual([]);
  });
});
