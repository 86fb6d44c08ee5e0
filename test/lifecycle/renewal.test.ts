import { randomUUID } from "node:crypto";
import { statements } from "@hark/core/internal";
import { expect } from "vitest";
import { test as base } from "../support/fixtures.ts";

const leaseMs = 600_000;

/** A test on workers of the table alone, without a process. */
const test = base.extend("register", ({ db }, { onCleanup }) => {
  const ids: string[] = [];
  onCleanup(async () => void (await db.pool.query("delete from hark.workers where id = any ($1)", [ids])));
  return async (queues: readonly string[]): Promise<string> => {
    const id = randomUUID();
    ids.push(id);
    const served = JSON.stringify(Object.fromEntries(queues.map((queue) => [queue, 10])));
    await statements.registerWorker(db, { id, name: "test", hostname: "test", pid: 1, queues: served, leaseMs });
    return id;
  };
});

test("a renewal tells of the live workers that share a queue, and of those queues if they are not all", async ({
  db,
  register,
}) => {
  const mine = await register(["a", "b"]);
  const same = await register(["b", "a", "c"]);
  const partly = await register(["b", "d"]);
  await register(["d"]);

  const [renewal] = await statements.renewLease(db, { id: mine, leaseMs, knownFleet: "" });
  const peers = new Map(renewal!.peers!.map(({ id, queues }) => [id, queues]));
  expect(peers).toEqual(
    new Map([
      [mine, null],
      [same, null],
      [partly, ["b"]],
    ]),
  );
});

test("a renewal lists the workers again only when one has come, gone or is late", async ({ db, register }) => {
  const mine = await register(["a"]);
  const other = await register(["a"]);
  const renew = async (knownFleet: string) => (await statements.renewLease(db, { id: mine, leaseMs, knownFleet }))[0]!;

  const first = await renew("");
  expect(first.peers).toHaveLength(2);
  expect(await renew(first.fleet)).toMatchObject({ fleet: first.fleet, peers: undefined });

  await db.pool.query("update hark.workers set expires_at = clock_timestamp() - interval '1 s' where id = $1", [other]);
  const second = await renew(first.fleet);
  expect(second.peers).toEqual([{ id: mine, queues: null }]);
  expect(second.othersExpireInMs).toBeLessThan(0);

  await statements.certifyDeaths(db, {});
  await register(["z"]); // shares no queue, but its jobs may have to be rescued one day
  const third = await renew(second.fleet);
  expect(third.peers).toEqual([{ id: mine, queues: null }]);
  expect(third.othersExpireInMs).toBeGreaterThan(0);
  expect(third.othersExpireInMs).toBeLessThanOrEqual(leaseMs);
});
