import {
  defineJob,
  getJob,
  getStats,
  listDeadJobs,
  migrate,
  openDatabase,
  silentLogger,
  type StateCounts,
} from "@hark/core";
import { createProducer } from "@hark/producer";
import { createWorker, implement } from "@hark/worker";

/** What the demo saw, for --json. */
export interface Tour {
  readonly migrations: number;
  /** From COMMIT to the handler, in ms. */
  readonly startedAfterMs: number;
  /** Most jobs of one key that ran at the same time. */
  readonly mostAtOnce: number;
  /** The attempt at which the job succeeded that fails at first. */
  readonly succeededAtAttempt: number;
  readonly deadLetters: readonly { readonly type: string; readonly error: string }[];
  readonly counts: StateCounts;
}

/** Longest wait for one step, in ms. Each takes milliseconds. */
const stepMs = 20_000;

/** Runs jobs of four kinds on an empty database, and tells `say` what happens. */
export async function runTour(url: string, say: (line: string) => void): Promise<Tour> {
  const { length: migrations } = await migrate({ connectionString: url });
  say(`migrated: ${migrations} migrations, all in the schema "hark"`);

  const db = openDatabase({ connectionString: url, applicationName: "hark demo" });
  const steps = new Steps();
  const welcome = defineJob("demo.welcome");
  const charge = defineJob("demo.charge", { key: (payload) => (payload as { account: string }).account });
  const flaky = defineJob("demo.flaky", { retry: { attempts: 3, backoff: { base: "100ms" } } });
  const broken = defineJob("demo.broken", { retry: { attempts: 1 } });
  let running = 0;
  let mostAtOnce = 0;
  let charges = 0;
  let succeededAtAttempt = 0;
  await using worker = createWorker({
    connectionString: url,
    logger: silentLogger,
    handlers: [
      implement(welcome, () => steps.done("welcome")),
      implement(charge, async () => {
        mostAtOnce = Math.max(mostAtOnce, (running += 1));
        await new Promise((resolve) => setTimeout(resolve, 20));
        running -= 1;
        if ((charges += 1) === 5) steps.done("charge");
      }),
      implement(flaky, ({ attempt }) => {
        if (attempt < 3) throw new Error(`attempt ${attempt} fails`);
        succeededAtAttempt = attempt;
        steps.done("flaky");
      }),
      implement(broken, () => {
        throw new Error("this never works");
      }),
    ],
  });
  await using producer = createProducer({ database: db });
  try {
    await worker.start();
    await worker.whenListening(AbortSignal.timeout(stepMs));
    say("started a worker, which now sleeps until PostgreSQL notifies it");

    const committedAt = await db.transaction(async (tx) => {
      await producer.in(tx).enqueue(welcome, { email: "ada@example.com" });
      return performance.now();
    });
    await steps.until("welcome");
    const startedAfterMs = Math.round((performance.now() - committedAt) * 10) / 10;
    say(`enqueued demo.welcome in a transaction: its handler started ${startedAfterMs} ms after COMMIT was sent`);

    await producer.enqueueMany(
      Array.from({ length: 5 }, (_, place) => ({ job: charge, payload: { account: "a-1", place } })),
    );
    await steps.until("charge");
    say(`enqueued 5 x demo.charge with one key: at most ${mostAtOnce} ran at the same time`);

    await producer.enqueue(flaky, {});
    await steps.until("flaky");
    say(`enqueued demo.flaky, which fails at first: it succeeded at attempt ${succeededAtAttempt}`);

    const { id } = await producer.enqueue(broken, {});
    await steps.poll("demo.broken", async () => (await getJob(db, id))?.state === "dead");
    const deadLetters = (await listDeadJobs(db)).map(({ type, error }) => ({ type, error: error.split("\n")[0]! }));
    say(`enqueued demo.broken, which never works: it is a dead letter (${deadLetters[0]?.error})`);

    await worker.stop();
    const { states: counts } = await getStats(db);
    return { migrations, startedAfterMs, mostAtOnce, succeededAtAttempt, deadLetters, counts };
  } finally {
    await db.close();
  }
}

/** Things that handlers have done, and waits for them. */
class Steps {
  readonly #done = new Map<string, PromiseWithResolvers<void>>();

  done(name: string): void {
    this.#of(name).resolve();
  }

  async until(name: string): Promise<void> {
    const { promise } = this.#of(name);
    await this.poll(`demo.${name}`, () =>
      Promise.race([promise.then(() => true), new Promise<false>((resolve) => setTimeout(resolve, 100, false))]),
    );
  }

  /** Asks until the answer is true. Throws after {@link stepMs}. */
  async poll(what: string, ask: () => Promise<boolean>): Promise<void> {
    const endsAt = performance.now() + stepMs;
    while (!(await ask())) {
      if (performance.now() > endsAt) throw new Error(`${what} did not end within ${stepMs / 1_000} s`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  #of(name: string): PromiseWithResolvers<void> {
    const known = this.#done.get(name) ?? Promise.withResolvers<void>();
    this.#done.set(name, known);
    return known;
  }
}
