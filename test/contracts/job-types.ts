/**
 * What the compiler must accept and reject for the public types: `tsc -b` is the test. A line after
 * @ts-expect-error that compiles is an error itself.
 */
import {
  type DeadJob,
  defineJob,
  type InputOf,
  type JobDetails,
  type PayloadOf,
  type ResultOf,
  type StoredSchedule,
} from "@hark/core";
import type { attempts, deadJobs, schedules } from "@hark/core/schema";
import type { Producer } from "@hark/producer";
import { implement, type JobContext, schedule, type WorkerOptions } from "@hark/worker";
import type { PoolClient } from "pg";
import * as v from "valibot";
import { expectTypeOf } from "vitest";
import * as z from "zod";

const mail = defineJob("mail", {
  payload: z.object({ to: z.string(), tries: z.string().transform(Number).default(1) }),
  result: z.object({ sent: z.boolean() }),
  key: (payload) => `${payload.to} ${payload.tries.toFixed()}`, // takes the parsed payload
});
const plain = defineJob("plain");
const book = defineJob("book", { payload: v.object({ isbn: v.string() }) });

expectTypeOf<(typeof mail)["type"]>().toEqualTypeOf<"mail">();
expectTypeOf<InputOf<typeof mail>>().toEqualTypeOf<{ to: string; tries?: string | undefined }>();
expectTypeOf<PayloadOf<typeof mail>>().toEqualTypeOf<{ to: string; tries: number }>();
expectTypeOf<ResultOf<typeof mail>>().toEqualTypeOf<{ sent: boolean }>();
expectTypeOf<PayloadOf<typeof book>>().toEqualTypeOf<{ isbn: string }>();
expectTypeOf<PayloadOf<typeof plain>>().toEqualTypeOf<unknown>();

export async function enqueueing(producer: Producer, client: PoolClient): Promise<void> {
  await producer.enqueue(mail, { to: "you" }, { delay: "5m", priority: 3 });
  await producer.in(client).enqueue(mail, { to: "you", tries: "2" });
  await producer.enqueue(plain, { anything: ["goes", null] });
  await producer.enqueueMany([
    { job: mail, payload: { to: "you" } },
    { job: book, payload: { isbn: "1" }, options: { runAt: new Date() } },
  ]);
  const { id, status } = await producer.enqueue(book, { isbn: "1" });
  expectTypeOf<typeof id>().toEqualTypeOf<bigint>();
  expectTypeOf<typeof status>().toEqualTypeOf<"inserted" | "duplicate">();

  // @ts-expect-error a field is missing
  await producer.enqueue(mail, {});
  // @ts-expect-error the type that the schema returns, not the one that it takes
  await producer.enqueue(mail, { to: "you", tries: 2 });
  // @ts-expect-error the name of a job type is not a job type
  await producer.enqueue("mail", { to: "you" });
  // @ts-expect-error unknown option
  await producer.enqueue(plain, {}, { delayMs: 5 });
  // @ts-expect-error unknown unit
  await producer.enqueue(plain, {}, { delay: "5 minutes" });
  await producer.enqueueMany([
    { job: mail, payload: { to: "you" } },
    // @ts-expect-error one wrong payload among valid ones
    { job: book, payload: { isbn: 1 } },
  ]);
  // @ts-expect-error a string is not a transaction
  producer.in("begin");
}

export function scheduling(): unknown[] {
  return [
    schedule(plain, "0 3 * * *"),
    schedule(plain, { every: "5m" }, { payload: { anything: ["goes"] }, missed: "all", priority: 1 }),
    schedule(mail, "0 9 * * 1", { tz: "Europe/Zurich", payload: { to: "you" } }),
    // @ts-expect-error the payload is missing
    schedule(mail, "0 9 * * 1"),
    // @ts-expect-error a field of the payload is missing
    schedule(mail, "0 9 * * 1", { payload: {} }),
    // @ts-expect-error unknown rule for missed ticks
    schedule(plain, "0 9 * * 1", { missed: "some" }),
    // @ts-expect-error a delay belongs to one job, not to a schedule
    schedule(plain, "0 9 * * 1", { delay: "5m" }),
    // @ts-expect-error unknown unit
    schedule(plain, { every: "5 minutes" }),
  ];
}

implement(mail, async (context) => {
  const { payload, signal, attempt } = context;
  expectTypeOf<typeof payload>().toEqualTypeOf<{ to: string; tries: number }>();
  expectTypeOf<typeof signal>().toEqualTypeOf<AbortSignal>();
  expectTypeOf<typeof attempt>().toEqualTypeOf<number>();
  expectTypeOf<Parameters<(typeof context)["completeIn"]>[1]>().toEqualTypeOf<{ sent: boolean } | undefined>();
  return { sent: true };
});
implement(plain, () => {});
implement(plain, (context: JobContext) => (Math.random() > 0.5 ? context.snooze("1m") : context.retryAfter(500)));

// @ts-expect-error the result does not match its schema
implement(mail, () => ({ sent: "yes" }));
// @ts-expect-error nor does no result
implement(mail, async () => {});
// @ts-expect-error unknown field
implement(book, ({ payload }) => payload.title);

// @ts-expect-error JSON has no dates
defineJob("dated", { payload: z.object({ at: z.date() }) });
// @ts-expect-error JSON has no bigints either, at any depth
defineJob("large", { payload: z.object({ rows: z.array(z.object({ id: z.bigint() })) }) });
// @ts-expect-error unknown option
defineJob("odd", { retries: 3 });
// @ts-expect-error attempts are a number
defineJob("odd", { retry: { attempts: "3" } });
// @ts-expect-error a definition is read-only
mail.priority = 3;

export const options: WorkerOptions = {
  connectionString: "postgres://localhost/db",
  handlers: [implement(mail, () => ({ sent: true })), implement(plain, () => 1)],
  queues: { default: 5, "*": 1 },
  lease: "10s",
};
// @ts-expect-error handlers are a list, not functions by name
export const wrongOptions: WorkerOptions = { connectionString: "", handlers: { mail: () => {} } };

// The rows that functions return are those of the tables.
expectTypeOf<DeadJob>().toEqualTypeOf<typeof deadJobs.$inferSelect>();
expectTypeOf<JobDetails["attempts"][number]>().toEqualTypeOf<typeof attempts.$inferSelect>();
expectTypeOf<Omit<StoredSchedule, "lastTickAt" | "lateMs">>().toEqualTypeOf<
  Omit<typeof schedules.$inferSelect, "payload">
>();
