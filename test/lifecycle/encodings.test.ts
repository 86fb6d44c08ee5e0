import { createLocks, defineJob, InvalidOptionsError, InvalidPayloadError, migrate, openDatabase } from "@hark/core";
import { createProducer } from "@hark/producer";
import { implement } from "@hark/worker";
import { expect } from "vitest";
import { test } from "../support/fixtures.ts";
import { untilState } from "../support/jobs.ts";

for (const encoding of ["LATIN1", "SQL_ASCII"]) {
  test(
    `in a database of ${encoding} an outcome is kept, whatever characters its error or result has`,
    { tags: ["FM-86"] },
    async ({ server, pool, startWorker, queue }) => {
      const name = `encoding_${encoding.toLowerCase()}_${queue.slice(2).replaceAll("-", "_")}`;
      await pool.query(`create database ${name} encoding '${encoding}' lc_collate 'C' lc_ctype 'C' template template0`);
      const url = new URL(server.url);
      url.pathname = `/${name}`;
      await migrate({ connectionString: url.href });
      const db = openDatabase({ connectionString: url.href });
      const producer = createProducer({ database: db });
      const flaky = defineJob("test.flaky", { queue, retry: { attempts: 3, backoff: { base: 1 } } });
      const result = defineJob("test.result", { queue, retry: { attempts: 1 } });
      const fatal = defineJob("test.fatal", { queue, retry: { attempts: 1 } });
      const worker = await startWorker(
        [
          implement(flaky, ({ attempt }) => {
            if (attempt < 3) throw new Error("the page said \u201cbusy\u201d \u{1f4a5}");
          }),
          implement(result, () => ({ title: "caf\u00e9 \u{1f4a5}" })),
          implement(fatal, () => {
            throw new Error("caf\u00e9 \u201cclosed\u201d");
          }),
        ],
        { connectionString: url.href },
      );
      try {
        const jobs = [await producer.enqueue(flaky, {}), await producer.enqueue(result, {})];
        const dead = await producer.enqueue(fatal, {});
        const retried = await untilState(db, jobs[0]!.id, "completed");
        expect(retried.attempts.map(({ ending }) => ending)).toEqual(["error", "error", "completed"]);
        expect(retried.attempts[0]!.error).toMatch(/the page said (\\u\{201c\}|\u201c)busy/);
        const returned = await untilState(db, jobs[1]!.id, "completed");
        const kept = encoding === "LATIN1" ? "caf\u00e9 \\u{1f4a5}" : "caf\u00e9 \u{1f4a5}";
        expect(returned.result).toEqual({ title: kept });
        expect((await untilState(db, dead.id, "dead")).error).toMatch(/caf\u00e9 (\\u\{201c\}|\u201c)closed/);

        const payload = producer.enqueue(result, { text: "\u{1f4a5}" });
        if (encoding === "LATIN1") await expect(payload).rejects.toThrow(InvalidPayloadError);
        else expect((await untilState(db, (await payload).id, "completed")).payload).toEqual({ text: "\u{1f4a5}" });
        await (await createLocks({ db }).acquire("caf\u00e9", { ttlMs: 1_000 })).release();
        const locked = createLocks({ db }).acquire("\u{1f4a5}", { ttlMs: 1_000 });
        if (encoding === "LATIN1") await expect(locked).rejects.toThrow(InvalidOptionsError);
        else await (await locked).release();
      } finally {
        await worker.stop("now");
        await db.close();
        await pool.query(`drop database ${name} with (force)`);
      }
    },
  );
}
