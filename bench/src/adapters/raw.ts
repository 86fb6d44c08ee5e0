import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { type Adapter, type Handle, handleAll, type Payload } from "../adapter.ts";
import { openClient, openPool } from "../pool.ts";

/** Connections that claim in parallel: two or three were best on two cores. */
const lanes = 3;
const batch = 500;
/** Makes the planner find the oldest rows by the index, whatever the statistics say. */
const claimerOptions = "-c enable_seqscan=off -c jit=off";

/**
 * The ceiling, not a product: a table with one index and no history, states, retries or wake-ups.
 * To claim is to delete rows in a transaction that stays open until the handlers are done. An empty
 * table is polled every millisecond.
 */
export const raw: Adapter = {
  name: "raw",
  store: "postgresql",
  isCeiling: true,
  hasDelay: false,
  options: "the ceiling: delete to claim, no history, looks every 1 ms",
  sql: {
    insertOther: "insert into jobs (payload) values ('{}')",
    insert: "insert into jobs (payload) values ($1)",
    fill: "insert into jobs (payload) select json_build_object('n', n) from generate_series(0, $1::integer - 1) n",
    claims: "delete from jobs%",
  },
  stageOf: (statement) => (statement.startsWith("insert into jobs") ? "enqueue" : "settle and claim in one"),
  async prepare(url) {
    const client = await openClient(url);
    await client.query("create table jobs (id bigint primary key generated always as identity, payload json not null)");
    await client.end();
  },
  async openProducer(url) {
    const pool = openPool(url, 10);
    return {
      enqueue: (payload) =>
        pool.query({ name: "one", text: "insert into jobs (payload) values ($1)", values: [JSON.stringify(payload)] }),
      enqueueMany: (payloads) =>
        pool.query({
          name: "many",
          text: "insert into jobs (payload) select value from json_array_elements($1::json)",
          values: [JSON.stringify(payloads)],
        }),
      async isEmpty() {
        const { rows } = await pool.query(`select not exists (select from jobs) as "isEmpty"`);
        return rows[0].isEmpty === true;
      },
      close: () => pool.end(),
    };
  },
  async openClaimer(url) {
    const client = await openClient(url, { options: claimerOptions });
    return {
      async claim(limit) {
        const claimed = await claim(client, limit);
        await client.query("commit");
        return claimed.length;
      },
      close: () => client.end(),
    };
  },
  async startWorker(url, handle) {
    for (let lane = 0; lane < lanes; lane += 1) {
      const client = await openClient(url, { options: claimerOptions });
      void work(client, handle);
    }
  },
};

/** Claims and handles jobs until its process is killed. */
async function work(client: pg.Client, handle: Handle): Promise<never> {
  for (;;) {
    const claimed = await claim(client, batch);
    await handleAll(claimed, handle);
    await client.query("commit");
    if (claimed.length < batch) await sleep(1);
  }
}

async function claim(client: pg.Client, limit: number): Promise<Payload[]> {
  const [, { rows }] = await Promise.all([
    client.query("begin"),
    client.query<[Payload]>({
      name: "claim",
      text: `delete from jobs where ctid = any (array(
               select ctid from jobs order by id limit $1 for update skip locked))
             returning payload`,
      values: [limit],
      rowMode: "array",
    } as unknown as pg.QueryArrayConfig),
  ]);
  return rows.map(([payload]) => payload);
}
