import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { migrate } from "@hark/core";
import { orLate } from "@hark/core/internal";
import type pg from "pg";
import { eventually } from "../../../support/eventually.ts";
import { findPgBouncer, type PgBouncer, startPgBouncer } from "../../../support/pgbouncer.ts";
import { randomFrom } from "../../../support/random.ts";
import { check, type Verdict } from "../checker/check.ts";
import type { History } from "../checker/study.ts";
import { applicationTables, readFinalState, serverErrorsOf } from "../ledger/final-state.ts";
import { LedgerFile, readLedger } from "../ledger/ledger.ts";
import { tellProcessesApart } from "../ledger/tell-processes-apart.ts";
import { Proxy } from "../network/proxy.ts";
import { doFault, type Victims } from "./faults.ts";
import { Member } from "./member.ts";
import { watchPace } from "./pace.ts";
import { Prober } from "./prober.ts";
import { promisesFor, slots } from "./promises.ts";
import { type PlannedFault, type PlannedKind, planFaults } from "./schedule.ts";
import { CampaignServer } from "./server.ts";
import { canSkew, skewed } from "./skew.ts";
import { watchForStalls } from "./stalls.ts";

export interface CampaignOptions {
  seed: number;
  /** Length of the storm. The calm after it comes on top. */
  minutes: number;
  workers?: number;
  jobsPerSecond?: number;
  leaseMs?: number;
  /** Only these faults. Default: all. */
  only?: readonly PlannedKind[] | undefined;
  /**
   * With a standby that is promoted in the middle of the storm. Default: true, if `only` allows it.
   */
  promotes?: boolean;
  /**
   * A second producer goes through PgBouncer in transaction mode. Default: if it is installed.
   */
  pools?: boolean | undefined;
  /**
   * One worker's clock is an hour ahead and one producer's an hour behind. Default: if libfaketime
   * is installed.
   */
  skews?: boolean | undefined;
  /** The database's disk is full now and then. Default: if a small one can be mounted. */
  fills?: boolean | undefined;
  /** The build that its processes run instead of the real one. */
  build?: OtherBuild | undefined;
  say?: (line: string) => void;
}

/** A changed build of Hark. */
export interface OtherBuild {
  /** Changes the database after the migration. */
  readonly wreck: (db: pg.Pool) => Promise<void>;
  /** Loaded first by each process. */
  readonly preload: URL;
  readonly env: NodeJS.ProcessEnv;
}

export interface CampaignResult {
  options: CampaignOptions;
  postgres: string;
  plan: PlannedFault[];
  history: History;
  verdicts: Verdict[];
  /** The end of each process's log, for people. */
  logs: Record<string, string>;
}

/** The processes with a wrong wall clock, where clocks can be faked. */
const clocks: Record<string, NodeJS.ProcessEnv> = { "worker-2": skewed(3_600), "producer-1": skewed(-3_600) };

/** How long a process may take to begin, in ms. */
const beginMs = 60_000;
/**
 * How much longer the backlog may take after the storm, in ms. The checker computes how long it
 * should take.
 */
const longestBacklogMs = 60_000;
/** How long only probes run at the end, in ms. */
const quietMs = 4_000;
/** How long the last probes may take to end before the tables are read, in ms. */
const lastProbesMs = 2_000;
/** Producers go on this long into the calm, in ms. */
const producersStayMs = 1_500;

/**
 * Runs one campaign with real processes, each behind its own proxy. A storm of faults from the seed
 * is followed by a calm in which every job must end. Returns the verdicts of the checker, and
 * leaves nothing behind.
 */
export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const { seed, minutes, workers = 2, jobsPerSecond = 25, leaseMs = 3_000, only } = options;
  const { promotes = only?.includes("promote") ?? true, fills = only?.includes("disk full") ?? true } = options;
  const { pools = findPgBouncer() !== undefined, skews = canSkew(), build, say = () => {} } = options;
  const stormMs = minutes * 60_000;
  await using cleanup = new AsyncDisposableStack();

  const folder = await mkdtemp(join(tmpdir(), "hark-campaign-"));
  cleanup.defer(() => rm(folder, { recursive: true, force: true }));
  const ledger = new LedgerFile(folder, "campaign");
  cleanup.defer(() => ledger.close());

  const server = cleanup.use(await CampaignServer.start({ fills }));
  await migrate({ connectionString: server.url });
  await server.pool.query(applicationTables);
  await build?.wreck(server.pool);
  if (promotes) await server.addStandby();
  const [standby, disk] = [promotes && " with a synchronous standby", server.hasSmallDisk && " on a small disk"];
  say(`PostgreSQL ${server.version}${standby || ""}${disk || ""}`);

  const proxies = new Map<string, Proxy>();
  const proxyFor = async (name: string, target = () => server.address) => {
    const proxy = cleanup.use(await Proxy.start(target, randomFrom(seed + proxies.size + 1)));
    proxies.set(name, proxy);
    return proxy.urlOf(server.url);
  };
  const pooler = pools ? await startPooler(await proxyFor("pooler to server"), cleanup) : undefined;

  const probers = new Map<string, Prober>();
  const members = new Map<string, Member>();
  const add = (name: string, main: string, memberOptions: (starts: number) => object) => {
    const onProbe = (id: string) => probers.get(name)?.hear(id);
    const env = { ...(skews && clocks[name]), ...build?.env };
    const given = { name, main, options: memberOptions, ledger, folder, onProbe, env };
    const member = new Member({ ...given, ...(build && { preload: build.preload }) });
    members.set(name, member);
    cleanup.defer(() => member.end("SIGKILL"));
    member.start();
    return member;
  };

  const workerNames = Array.from({ length: workers }, (_, place) => `worker-${place + 1}`);
  for (const name of workerNames) {
    const databaseUrl = await proxyFor(name);
    const pollMs = 10_000; // long, so that a lost wake-up shows
    add(name, "worker-main.ts", () => ({ name, databaseUrl, ledger: folder, leaseMs, pollMs, concurrency: slots }));
    const random = randomFrom(seed * 31 + probers.size);
    probers.set(name, new Prober({ worker: name, pool: () => server.pool, ledger, random }));
  }
  let apiPort = 0;
  const apiUrl = await proxyFor("api");
  const api = add("api", "api-main.ts", () => ({ name: "api", databaseUrl: apiUrl, port: apiPort }));
  await allReady(members);
  apiPort = Number(new URL(api.url!).port); // the same when it comes back
  const lockers = ["locker-1", "locker-2"];
  for (const name of lockers) {
    const databaseUrl = await proxyFor(name);
    add(name, "locker-main.ts", (starts) => ({ name, databaseUrl, ledger: folder, seed: seed * 17 + starts }));
  }
  const producers = pooler ? ["producer-1", "producer-2"] : ["producer-1"];
  for (const [place, name] of producers.entries()) {
    const databaseUrl = await proxyFor(name, place === 1 ? () => pooler!.address : undefined);
    add(name, "producer-main.ts", (starts) => ({
      name,
      databaseUrl,
      ledger: folder,
      seed: seed * 7 + place * 101 + starts,
      jobsPerSecond: jobsPerSecond / producers.length,
      leaseMs,
      ...(place === 0 && { apiUrl: api.url }),
    }));
  }
  await allReady(members);
  const stalls = cleanup.use(watchForStalls(ledger));
  const pace = cleanup.use(watchPace(() => server.url, ledger));
  for (const prober of probers.values()) prober.start();
  say(`${members.size} processes are ready${skews ? ", one an hour ahead and one an hour behind" : ""}`);

  const plan = planFaults({
    seed,
    stormMs,
    leaseMs,
    workers: workerNames,
    others: [...producers, ...lockers, "api"],
    hasStandby: promotes,
    hasPooler: pooler !== undefined,
    hasSmallDisk: server.hasSmallDisk,
    only,
  });
  const victims: Victims = { server, members, proxies, ledger, restartPooler: pooler?.restart };
  await storm(plan, stormMs, victims, say);

  for (const proxy of proxies.values()) await proxy.set(undefined);
  await allReady(members);
  ledger.write({ event: "calm" });
  say("calm: everything is healed");
  await sleep(producersStayMs);
  await Promise.all([...producers, ...lockers].map((name) => members.get(name)!.end("stop")));

  const promises = promisesFor(leaseMs);
  const unfinished = await untilFinal(server, { withinMs: promises.finalWithinMs + longestBacklogMs, isProbe: false });
  ledger.write({ event: "quiet" });
  say(
    unfinished === 0 ? "quiet: every job is final" : `quiet: ${unfinished} jobs are not final, though they should be`,
  );
  await sleep(quietMs);
  await Promise.all([...probers.values()].map((prober) => prober.stop(2_000)));
  await server.pool.query("select 1"); // their last writes are there
  ledger.write({ event: "over" });
  stalls[Symbol.dispose]();
  await pace[Symbol.asyncDispose]();

  await untilFinal(server, { withinMs: lastProbesMs, isProbe: true }); // probes that no worker runs stay unfinished, and the checker reports them
  const state = await readFinalState(server.pool);
  await Promise.all([...members].map(([name, member]) => member.end(name === "api" ? "stop" : "SIGTERM")));

  const { entries, workers: registered } = tellProcessesApart(readLedger(folder), state.workers);
  const history: History = {
    entries,
    final: { ...state, workers: registered, serverErrors: serverErrorsOf(server.log) },
    promises,
  };
  const logs = Object.fromEntries([...members].map(([name, { log }]) => [name, log]));
  return { options, postgres: server.version, plan, history, verdicts: check(history), logs };
}

/** Does every planned fault at its time, several at once, and waits until each is healed. */
async function storm(plan: PlannedFault[], stormMs: number, victims: Victims, say: (line: string) => void) {
  const beganAt = performance.now();
  const elapsed = () => performance.now() - beganAt;
  const underWay: Promise<void>[] = [];
  let failure: unknown;
  for (const fault of plan) {
    if (failure !== undefined) break; // the campaign itself is broken, so it proves nothing
    await sleep(Math.max(fault.atMs - elapsed(), 0));
    say(`${(fault.atMs / 1_000).toFixed(1).padStart(6)} s  ${fault.kind} ${fault.target} for ${fault.forMs} ms`);
    underWay.push(doFault(fault, victims).catch((error: unknown) => void (failure ??= error)));
  }
  if (failure === undefined) await sleep(Math.max(stormMs - elapsed(), 0));
  await Promise.all(underWay);
  if (failure !== undefined) throw new Error("a fault could not be done or healed", { cause: failure });
}

/**
 * Waits until all probes, or all other jobs, have finished. Returns how many have not when the time
 * is over.
 */
async function untilFinal(
  server: CampaignServer,
  { withinMs, isProbe }: { withinMs: number; isProbe: boolean },
): Promise<number> {
  let left: number | undefined;
  const areFinal = async () => {
    const { rows } = await server.pool.query<{ left: number }>(
      `select (select count(*) from hark.jobs where (type = 'campaign.probe') = $1)::int
            + (select count(*) from hark.running_jobs where (type = 'campaign.probe') = $1)::int as left`,
      [isProbe],
    );
    left = rows[0]!.left;
    return left === 0;
  };
  await eventually(areFinal, { withinMs, what: "the end of every job", everyMs: 100 }).catch((error: unknown) => {
    if (left === undefined) throw error; // the database never answered
  });
  return left!;
}

interface Pooler {
  readonly address: { host: string; port: number };
  restart: (downMs: number) => Promise<void>;
}

/**
 * A PgBouncer in transaction mode that can be killed. After each kill it comes back on another
 * port.
 */
async function startPooler(serverUrl: string, cleanup: AsyncDisposableStack): Promise<Pooler> {
  const start = () => startPgBouncer(serverUrl, { poolMode: "transaction" });
  let pooler: PgBouncer = await start();
  cleanup.defer(() => pooler[Symbol.asyncDispose]());
  return {
    get address() {
      const { hostname, port } = new URL(pooler.url);
      return { host: hostname, port: Number(port) };
    },
    async restart(downMs) {
      await pooler[Symbol.asyncDispose]();
      await sleep(downMs);
      pooler = await start();
    },
  };
}

/**
 * Waits until every process is ready. Throws with the last output of a process that does not become
 * ready.
 */
async function allReady(members: ReadonlyMap<string, Member>): Promise<void> {
  await Promise.all(
    [...members.values()].map(async (member) => {
      if ((await orLate(member.ready, beginMs)) !== "late") return;
      throw new Error(
        `${member.name} was not ready within ${beginMs} ms. Its last output:\n${member.log.slice(-4_000)}`,
      );
    }),
  );
}
