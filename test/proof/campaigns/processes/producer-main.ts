/**
 * A producer of the campaign. It enqueues in every way, sometimes cancels, and records the answers.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { cancelJob, openDatabase } from "@hark/core";
import { createProducer, type EnqueuedJob, type EnqueueOptions } from "@hark/producer";
import { pick, randomFrom } from "../../../support/random.ts";
import type { Wish } from "../ledger/entries.ts";
import { LedgerFile } from "../ledger/ledger.ts";
import { attempts, page, work } from "./jobs.ts";
import { leave, readOptions, tell } from "./tell.ts";

export interface ProducerOptions {
  name: string;
  databaseUrl: string;
  ledger: string;
  seed: number;
  jobsPerSecond: number;
  leaseMs: number;
  /** The API server's URL, for calls over HTTP. */
  apiUrl?: string | undefined;
}

const options = readOptions() as ProducerOptions;
const ledger = new LedgerFile(options.ledger, `${options.name}.${process.pid}`);
const random = randomFrom(options.seed);
const db = openDatabase({ connectionString: options.databaseUrl, applicationName: "hark producer", maxConnections: 4 });
const producer = createProducer({ database: db });

/** How many calls run at once at most, so that they do not pile up while the database is silent. */
const mostCalls = 40;
const calls = new Set<Promise<void>>();
/**
 * While so many jobs wait, none is added. Otherwise half an hour of faults on a slow machine would
 * leave more than the calm has time for.
 */
const mostWaiting = 400;
/** How often the number of waiting jobs is read, in ms. */
const lookMs = 500;
let isFull = false;
/** Jobs that may be cancelled: the latest acknowledged ones. */
const latest: string[] = [];
let wishes = 0;

const stopping = new AbortController();
process.on("message", (word) => word === "stop" && stopping.abort());
tell({ kind: "ready" });
const looks = lookAtTheQueue();
while (!stopping.signal.aborted) {
  if (calls.size < mostCalls && !isFull) {
    const call = makeCall().finally(() => calls.delete(call));
    calls.add(call);
  }
  await sleep((500 + random() * 1_000) / options.jobsPerSecond);
}
await Promise.race([Promise.all([...calls, looks]), sleep(13_000)]); // longer than any call may take
await producer.close();
await db.close();
ledger.close();
leave();

/** Updates `isFull`. It keeps its value while the database does not answer. */
async function lookAtTheQueue(): Promise<void> {
  while (!stopping.signal.aborted) {
    const text = `select count(*)::int as waiting from (select from hark.jobs limit ${mostWaiting}) waiting`;
    const answer = await db.query({ text, values: [] }).catch(() => undefined);
    if (answer) isFull = answer.rows[0]!["waiting"] === mostWaiting;
    await sleep(lookMs, undefined, { signal: stopping.signal }).catch(() => {});
  }
}

async function makeCall(): Promise<void> {
  const kind = random();
  if (kind < 0.05) return cancel();
  if (kind < 0.15) return enqueueMany(Array.from({ length: 2 + Math.trunc(random() * 6) }, wish));
  if (kind < 0.25) return enqueueInTransaction(wish(), { rollsBack: random() < 0.3 });
  if (kind < 0.4 && options.apiUrl !== undefined) return enqueueOverHttp(options.apiUrl, wish());
  return enqueue(wish());
}

/** Draws a wish by weight. Jobs that block or end a process are left to the campaign. */
function wish(): Wish {
  const { leaseMs } = options;
  const ref = `${options.name}-${process.pid}-${(wishes += 1)}`;
  const common = { ref, type: work.type, maxAttempts: attempts };
  const kind = random();
  const between = (from: number, to: number) => Math.round(from + random() * (to - from));
  const shape = ((): Partial<Wish> & Pick<Wish, "does"> => {
    if (kind < 0.5) return { does: "sleep" };
    if (kind < 0.7) return { does: "sleep", ms: between(5, 50) };
    if (kind < 0.74) return { does: "sleep", ms: between(leaseMs / 4, leaseMs) };
    if (kind < 0.76) return { does: "ignore", ms: between(leaseMs / 4, leaseMs) };
    if (kind < 0.77) return { does: random() < 0.5 ? "sleep" : "ignore", ms: between(leaseMs, leaseMs * 3) };
    if (kind < 0.85) return { does: "fail", times: between(1, 2), ms: between(0, 20) };
    if (kind < 0.87) return { does: "fail", times: 99 };
    if (kind < 0.89) return { does: "fatal" };
    if (kind < 0.92) return { does: "snooze", times: 1, ms: between(20, 200) };
    return { does: "effect", ms: between(0, 200) };
  })();
  const key = random() < 0.2 ? { key: `key-${Math.trunc(random() * 12)}` } : {};
  const uniqueKey = random() < 0.1 ? { uniqueKey: `unique-${Math.trunc(random() * 8)}` } : {};
  const delay = random() < 0.1 ? { delayMs: between(50, 1_500) } : {};
  return { ...common, ...shape, ...key, ...uniqueKey, ...delay };
}

async function enqueue(wished: Wish): Promise<void> {
  await ask([wished], async () => [await producer.enqueue(work, payloadOf(wished), optionsFor(wished))]);
}

async function enqueueMany(wished: Wish[]): Promise<void> {
  await ask(wished, () =>
    producer.enqueueMany(wished.map((one) => ({ job: work, payload: payloadOf(one), options: optionsFor(one) }))),
  );
}

async function enqueueInTransaction(one: Wish, { rollsBack }: { rollsBack: boolean }): Promise<void> {
  const wished = { ...one, inTransaction: true };
  delete wished.uniqueKey; // a duplicate would leave an order without its own job
  const back = new Error("rolled back on purpose");
  try {
    await ask(
      [wished],
      () =>
        db.transaction(async (tx) => {
          await tx.query("insert into orders values ($1)", [wished.ref]);
          const job = await producer.in(tx).enqueue(work, payloadOf(wished), optionsFor(wished));
          if (rollsBack) throw back;
          return [job];
        }),
      back,
    );
  } catch (error) {
    if (error !== back) throw error;
    ledger.write({ event: "rolled back", ref: wished.ref });
  }
}

async function enqueueOverHttp(apiUrl: string, one: Wish): Promise<void> {
  const url = `https://books.example/${one.key ?? one.ref}`;
  const { ref, does, ms, times } = one;
  const wished: Wish = { ref, does, ms, times, type: page.type, key: url, maxAttempts: attempts };
  await ask([wished], async () => {
    const answer = await fetch(`${apiUrl}/api/queue/jobs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ type: page.type, target_url: url, metadata: payloadOf(wished) }),
      signal: AbortSignal.timeout(12_000),
    });
    if (answer.status !== 201) throw new Error(`HTTP ${answer.status}`);
    const { data } = (await answer.json()) as { data: { id: string } };
    return [{ id: BigInt(data.id), status: "inserted" as const }];
  });
}

/** Asks for jobs, and records the result. Throws only `expected`. */
async function ask(wished: Wish[], answer: () => Promise<readonly EnqueuedJob[]>, expected?: Error): Promise<void> {
  for (const one of wished) ledger.write({ event: "wished", ...one });
  try {
    const enqueued = await answer();
    for (const [place, { id, status }] of enqueued.entries()) {
      ledger.write({ event: "enqueued", ref: wished[place]!.ref, id: String(id), status });
      latest.push(String(id));
    }
    ledger.sync();
    latest.splice(0, latest.length - 30);
  } catch (error) {
    if (error === expected) throw error;
    for (const { ref } of wished) ledger.write({ event: "unknown", ref, error: String(error) });
  }
}

async function cancel(): Promise<void> {
  if (latest.length === 0) return;
  const id = pick(random, latest);
  ledger.write({ event: "cancel asked", id });
  try {
    ledger.write({ event: "cancelled", id, wasIn: await cancelJob(db, BigInt(id)) });
  } catch {
    // it may be cancelled or not; the request is recorded
  }
}

function payloadOf({ ref, does, ms = 0, times = 0 }: Wish) {
  return { ref, does, ms, times };
}

function optionsFor({ key, uniqueKey, delayMs }: Wish): EnqueueOptions {
  return {
    ...(key !== undefined && { key }),
    ...(uniqueKey !== undefined && { uniqueKey }),
    ...(delayMs !== undefined && { delay: delayMs }),
  };
}
