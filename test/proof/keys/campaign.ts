import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { migrate, openDatabase } from "@hark/core";
import { orLate } from "@hark/core/internal";
import pg from "pg";
import { eventually } from "../../support/eventually.ts";
import { randomFrom } from "../../support/random.ts";
import type { OtherBuild } from "../campaigns/campaign/campaign.ts";
import { Member } from "../campaigns/campaign/member.ts";
import { watchPace } from "../campaigns/campaign/pace.ts";
import { promisesFor, slots } from "../campaigns/campaign/promises.ts";
import { CampaignServer } from "../campaigns/campaign/server.ts";
import { watchForStalls } from "../campaigns/campaign/stalls.ts";
import type { History } from "../campaigns/checker/study.ts";
import { applicationTables, type FinalState, readFinalState, serverErrorsOf } from "../campaigns/ledger/final-state.ts";
import { LedgerFile, readLedger } from "../campaigns/ledger/ledger.ts";
import { tellProcessesApart } from "../campaigns/ledger/tell-processes-apart.ts";
import { cancelJobs } from "./canceller.ts";
import type { KeysOptions } from "./options.ts";
import { KeysProducer } from "./producer.ts";
import { type KeyWatch, watchKeys } from "./standing.ts";
import { storm } from "./storm.ts";

/** How long a worker may take to be ready, in ms. */
const beginMs = 60_000;
/** How often the ended jobs are counted, in ms. */
const countMs = 500;
/** The storm ends when so few jobs are left, as a share, */
const left = 0.02;
/** or if so long no job has ended, in ms. It also ends when a key is left standing. */
const standstillMs = 20_000;
/** How much longer than the checker allows the last jobs are waited for, in ms. */
const longestBacklogMs = 60_000;
/** How long it may take to read a million jobs, in ms. */
const readMs = 300_000;

export interface KeysRun {
  readonly history: History;
  /** How long the storm took, in ms. */
  readonly stormMs: number;
  /** The end of each worker's log, for people. */
  readonly logs: Readonly<Record<string, string>>;
}

/**
 * Runs the jobs with real worker processes, in a storm of kills, stops and ended sessions, while
 * further jobs of the same keys are enqueued and others are cancelled. Then everything is healed,
 * and every job must end. Leaves nothing behind.
 */
export async function runKeys(
  options: KeysOptions,
  { build, say }: { build?: OtherBuild | undefined; say: (line: string) => void },
): Promise<KeysRun> {
  const { seed, jobs, workers, leaseMs } = options;
  await using cleanup = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "hark-keys-"));
  cleanup.defer(() => rm(folder, { recursive: true, force: true }));
  const ledger = new LedgerFile(folder, "campaign");
  cleanup.defer(() => ledger.close());

  const server = cleanup.use(await CampaignServer.start());
  await migrate({ connectionString: server.url });
  await server.pool.query(applicationTables);
  await build?.wreck(server.pool);

  const producer = cleanup.use(new KeysProducer({ ...options, url: server.url, ledger }));
  await producer.load();
  say(`PostgreSQL ${server.version}, ${producer.asked.toLocaleString("en")} of ${jobs.toLocaleString("en")} jobs wait`);

  const members: Member[] = [];
  for (let place = 1; place <= workers; place += 1) {
    const name = `worker-${place}`;
    const databaseUrl = await loginFor(name, server);
    const pollMs = 10_000; // long, so that a lost wake-up shows
    const given = { name, databaseUrl, ledger: folder, leaseMs, pollMs, concurrency: slots };
    const member = new Member({
      ...{ name, main: "worker-main.ts", options: () => given, ledger, folder },
      ...(build && { preload: build.preload, env: build.env }),
    });
    members.push(member);
    cleanup.defer(() => member.end("SIGKILL"));
    member.start();
  }
  await allReady(members);
  const stalls = cleanup.use(watchForStalls(ledger));
  const pace = cleanup.use(watchPace(() => server.url, ledger));
  const watch = cleanup.use(watchKeys(server.pool, ledger));
  const db = openDatabase({ connectionString: server.url, applicationName: "hark keys canceller", maxConnections: 1 });
  cleanup.defer(() => db.close());

  let finished = 0;
  const isOver = new AbortController();
  const begunAt = performance.now();
  const { pool } = server;
  const inserting = producer.run(() => finished, isOver.signal);
  const cancelling = cancelJobs(
    { db, pool, ledger, random: randomFrom(seed * 7 + 2), keys: options.keys },
    isOver.signal,
  );
  const raging = storm({ members, pool, ledger, random: randomFrom(seed * 31 + 3), leaseMs }, isOver.signal);
  await untilFew(
    async () => {
      finished = await countFinished(pool);
      return jobs - finished;
    },
    { few: Math.max(200, jobs * left), watch, say },
  );
  isOver.abort();
  await Promise.all([inserting, cancelling, raging]);
  const stormMs = performance.now() - begunAt;

  await allReady(members);
  ledger.write({ event: "calm" });
  say("calm: no more faults, and every worker is there");
  const withinMs = watch.hasFound ? 1_000 : promisesFor(leaseMs).finalWithinMs + longestBacklogMs;
  const unfinished = await untilFinal(pool, withinMs);
  ledger.write({ event: "quiet" });
  say(unfinished === 0 ? "quiet: every job has ended" : `quiet: ${unfinished} jobs have not ended, though they should`);
  ledger.write({ event: "over" });
  stalls[Symbol.dispose]();
  await Promise.all([pace[Symbol.asyncDispose](), watch[Symbol.asyncDispose]()]);
  const state = await finalState(server.url);
  await Promise.all(members.map((member) => member.end("SIGTERM")));

  const { entries, workers: registered } = tellProcessesApart(readLedger(folder), state.workers);
  return {
    history: {
      entries,
      final: { ...state, workers: registered, serverErrors: serverErrorsOf(server.log) },
      promises: promisesFor(leaseMs),
    },
    stormMs,
    logs: Object.fromEntries(members.map(({ name, log }) => [name, log])),
  };
}

/** A login of its own for a worker, by which its sessions are found. Returns the URL. */
async function loginFor(name: string, server: CampaignServer): Promise<string> {
  await server.pool.query(`create role ${pg.escapeIdentifier(name)} superuser login password 'keys'`);
  const url = new URL(server.url);
  url.username = name;
  url.password = "keys";
  return url.href;
}

/** How many jobs have ended, from the deltas that count them: it reads no jobs. */
async function countFinished(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ finished: number }>(
    "select coalesce(sum(completed + cancelled + dead), 0)::int as finished from hark.stats",
  );
  return rows[0]!.finished;
}

async function untilFew(
  leftNow: () => Promise<number>,
  { few, watch, say }: { few: number; watch: KeyWatch; say: (line: string) => void },
): Promise<void> {
  let fewest = Number.POSITIVE_INFINITY;
  let changedAt = performance.now();
  let saidAt = performance.now();
  for (;;) {
    const now = await leftNow();
    if (now < fewest) [fewest, changedAt] = [now, performance.now()];
    if (now <= few || watch.hasFound || performance.now() - changedAt > standstillMs) return;
    if (performance.now() - saidAt > 10_000) {
      saidAt = performance.now();
      say(`${now.toLocaleString("en")} jobs are left`);
    }
    await sleep(countMs);
  }
}

/** Reads all jobs, which takes longer than a statement of the campaign's own pool may. */
async function finalState(url: string): Promise<Omit<FinalState, "serverErrors">> {
  const pool = new pg.Pool({ connectionString: url, max: 1, query_timeout: readMs });
  try {
    return await readFinalState(pool);
  } finally {
    await pool.end();
  }
}

/** Waits until no job is left. Returns how many are when the time is over. */
async function untilFinal(pool: pg.Pool, withinMs: number): Promise<number> {
  let unfinished: number | undefined;
  const areFinal = async () => {
    const { rows } = await pool.query<{ left: number }>(
      "select (select count(*) from hark.jobs)::int + (select count(*) from hark.running_jobs)::int as left",
    );
    unfinished = rows[0]!.left;
    return unfinished === 0;
  };
  await eventually(areFinal, { withinMs, what: "the end of every job", everyMs: 100 }).catch((error: unknown) => {
    if (unfinished === undefined) throw error;
  });
  return unfinished!;
}

/** Throws with the last output of a worker that does not become ready. */
async function allReady(members: readonly Member[]): Promise<void> {
  await Promise.all(
    members.map(async (member) => {
      if ((await orLate(member.ready, beginMs)) !== "late") return;
      throw new Error(
        `${member.name} was not ready within ${beginMs} ms. Its last output:\n${member.log.slice(-4_000)}`,
      );
    }),
  );
}
