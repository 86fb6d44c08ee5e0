import { setTimeout as sleep } from "node:timers/promises";
import { now } from "../ledger/clock.ts";
import type { Fault } from "../ledger/entries.ts";
import type { LedgerFile } from "../ledger/ledger.ts";
import type { Proxy, Trouble } from "../network/proxy.ts";
import { enqueueDirectly, probeWish, workWish } from "./direct.ts";
import type { Member } from "./member.ts";
import type { PlannedFault } from "./schedule.ts";
import type { CampaignServer } from "./server.ts";

/** What faults can be done to. */
export interface Victims {
  server: CampaignServer;
  members: ReadonlyMap<string, Member>;
  proxies: ReadonlyMap<string, Proxy>;
  ledger: LedgerFile;
  /** Kills the pooler, and starts it again after `downMs`. */
  restartPooler: ((downMs: number) => Promise<void>) | undefined;
}

/** When a fault was healed, and what shows that it took effect. */
type Done = Pick<Fault, "from" | "to" | "goneAt" | "proof">;

let jobs = 0;

/** Does one planned fault and heals it. Records when, and what shows that it took effect. */
export async function doFault(fault: PlannedFault, victims: Victims): Promise<void> {
  const { kind, target } = fault;
  if (kind === "poison" || kind === "block") {
    await enqueueWork(fault, victims).catch(() => {}); // the server is down: no job is enqueued
    return;
  }
  const done = await act(fault, victims);
  victims.ledger.write({ event: "fault", kind, target, ...done, at: done.from });
}

async function enqueueWork({ kind, how, forMs }: PlannedFault, { server, ledger }: Victims): Promise<void> {
  const does = kind === "poison" ? (how ?? "kill") : "block";
  await enqueueDirectly(server.pool, ledger, workWish({ ref: `${kind}-${(jobs += 1)}`, does, ms: forMs }));
}

async function act(fault: PlannedFault, victims: Victims): Promise<Done> {
  const { kind, target, forMs, amount } = fault;
  const { server } = victims;
  const from = now();
  const done = (proof: string): Done => ({ from, to: now(), proof });
  switch (kind) {
    case "cut":
    case "refuse":
    case "hole":
    case "hole up":
    case "hole down":
    case "cut at commit":
      return trouble(fault, { kind, share: 0.3 }, victims);
    case "delay":
      return trouble(fault, { kind, ms: amount }, victims);
    case "trickle":
      return trouble(fault, { kind, bytesPerSecond: amount }, victims);
    case "listener cut":
      return trouble(fault, { kind: "cut", only: "hark listener" }, victims);
    case "listener hole":
      return trouble(fault, { kind: "hole", only: "hark listener" }, victims);
    case "kill":
    case "terminate": {
      const member = memberOf(target, victims);
      const pid = member.pid;
      await member.kill(kind === "kill" ? "SIGKILL" : "SIGTERM", kind === "kill" ? kind : "SIGTERM", forMs);
      return done(`process ${pid} is gone`);
    }
    case "stop": {
      const member = memberOf(target, victims);
      const resume = member.pause();
      await sleep(forMs);
      resume();
      return done(`process ${member.pid} stood for ${Math.round(now() - from)} ms`);
    }
    case "backends": {
      const ended = await endBackends(target, victims);
      return done(`${ended} sessions ended`);
    }
    case "lock row": {
      return done(await lockRow(victims, target, forMs).catch((error: unknown) => `none: ${String(error)}`));
    }
    case "crash": {
      await server.crash();
      const goneAt = now();
      await sleep(forMs);
      await server.comeBack();
      return { ...done("recovered and takes writes"), goneAt };
    }
    case "restart": {
      const wasOrderly = await server.restart();
      // Only a forced end loses what the server had in memory. The moment of the loss is not known.
      return { ...done("restarted and takes writes"), ...(!wasOrderly && { goneAt: now() }) };
    }
    case "promote": {
      await server.crash();
      const goneAt = now();
      await server.promote();
      for (const proxy of victims.proxies.values()) proxy.resetAll(); // moving an address resets its connections
      return { ...done("the standby takes writes"), goneAt };
    }
    case "disk full": {
      const errorsBefore = server.spaceErrors;
      const makeRoom = await server.fillDisk();
      await sleep(forMs);
      await makeRoom();
      return done(`${server.spaceErrors - errorsBefore} statements found no space`);
    }
    case "pooler killed":
      await victims.restartPooler?.(forMs);
      return done("the pooler is back");
    case "poison":
    case "block":
      throw new Error(`${kind} is a job, not a fault`);
    default:
      return kind satisfies never;
  }
}

async function trouble({ target, forMs }: PlannedFault, what: Trouble, { proxies }: Victims): Promise<Done> {
  const proxy = proxies.get(target);
  if (!proxy) throw new Error(`${target} has no proxy`);
  const before = { ...proxy.counts };
  const from = now();
  await proxy.set(what);
  await sleep(forMs);
  await proxy.set(undefined);
  const { reset, swallowed, cutAtCommit, accepted } = proxy.counts;
  return {
    from,
    to: now(),
    proof:
      `${reset - before.reset} reset, ${swallowed - before.swallowed} bytes vanished, ` +
      `${cutAtCommit - before.cutAtCommit} answers to a commit cut, ${accepted - before.accepted} reconnects`,
  };
}

function memberOf(name: string, { members }: Victims): Member {
  const member = members.get(name);
  if (!member) throw new Error(`there is no ${name}`);
  return member;
}

/** Ends the sessions of one process, found by the ports of its proxy. */
async function endBackends(target: string, { server, proxies }: Victims): Promise<number> {
  const ports = proxies.get(target)?.portsToServer ?? [];
  const { rowCount } = await server.pool
    .query(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where backend_type = 'client backend' and client_port = any ($1) and pid <> pg_backend_pid()`,
      [ports],
    )
    .catch(() => ({ rowCount: 0 }));
  return rowCount ?? 0;
}

/**
 * Locks the first ready job of a worker's own queue, as a transaction that reads the job may. The
 * jobs after it must not wait for the lock. FOR KEY SHARE allows the job to become ready while it
 * is locked.
 */
async function lockRow({ server, ledger }: Victims, worker: string, forMs: number): Promise<string> {
  const ref = `locked-${(jobs += 1)}`;
  const id = await enqueueDirectly(server.pool, ledger, { ...probeWish(ref, worker, 300), does: "sleep" });
  const client = await server.pool.connect();
  let failure: Error | undefined = new Error("not ended in order"); // otherwise the session returns to the pool with its locks
  try {
    await client.query("begin");
    const { rowCount } = await client.query("select from hark.jobs where id = $1 for key share", [id]);
    // Not before it is due. Only the database knows how long that is.
    await server.pool.query(
      "select pg_sleep(greatest(extract(epoch from run_at - clock_timestamp()), 0)) from hark.jobs where id = $1",
      [id],
    );
    await server.pool.query("update hark.jobs set state = 'ready', priority = 100 where id = $1", [id]);
    await sleep(forMs);
    await client.query("rollback");
    failure = undefined;
    return `${rowCount} job locked for ${forMs} ms`;
  } finally {
    client.release(failure);
  }
}
