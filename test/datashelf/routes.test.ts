import { silentLogger } from "@hark/core";
import { JobManager, startServer } from "pg-hark";
import { expect } from "vitest";
import { eventually } from "../support/eventually.ts";
import { done, test as base } from "../support/job-manager.ts";
import { listOf, requestOf } from "./contract.ts";

/* The requests of contract.md as they stand there, and the shapes of its responses. */

const within = { withinMs: 55_000 };

/** A JobManager whose jobs fail on request, and the API with it. */
const test = base.extend("service", async ({ ownUrl }, { onCleanup }) => {
  const manager = new JobManager({
    connectionString: ownUrl,
    logger: silentLogger,
    requestDelay: 0,
    retryAttempts: 3,
  });
  await manager.initialize();
  let isFailing = false;
  manager.setJobProcessor(() => {
    if (isFailing) throw new Error("Network timeout");
    return done;
  });
  await manager.start();
  const server = await startServer({
    connectionString: ownUrl,
    jobs: manager.jobs,
    runtime: manager,
    port: 0,
    logger: silentLogger,
  });
  onCleanup(async () => {
    await server.close();
    await manager.stop("now");
  });
  const send = async (heading: string) => {
    const { method, path, headers, body, answer } = requestOf(heading);
    const response = await fetch(server.url + path, { method, headers, ...(body !== undefined && { body }) });
    return { status: response.status, answer: (await response.json()) as any, shown: answer as any };
  };
  return { manager, server, send, fail: () => (isFailing = true) };
});

test("its requests do what they say, and its responses have the shapes that it shows", async ({ service, sql }) => {
  const { manager, send, fail } = service;

  const added = await send("Add Job");
  expect(added).toMatchObject({ status: 201, answer: { success: true, data: { status: "queued" } } });
  await eventually(async () => (await manager.getStats()).completed === 1, within);
  const { rows } = await sql.query("select payload, priority from hark.finished_jobs");
  expect(rows).toEqual([
    { payload: { target_url: "https://example.com/product/123", metadata: { category: "books" } }, priority: 5 },
  ]);

  await eventually(async () => (await manager.healthCheck()).status === "healthy", within);
  const stats = await send("Get Statistics");
  expect(stats.status).toBe(200);
  // Its name for the database, the one that changed.
  expect(namesOf(stats.answer)).toEqual(expect.arrayContaining(namesOf(stats.shown).map(renamed)));
  expect(stats.answer.data).toMatchObject({
    health: JSON.parse(renamed(JSON.stringify(stats.shown.data.health))) as object,
    status: stats.shown.data.status,
  });

  fail();
  await send("Add Job");
  for (let attempt = 1; attempt < 3; attempt += 1) {
    const retry = "select from hark.jobs where state = 'scheduled' and attempt = $1";
    await eventually(async () => (await sql.query(retry, [attempt])).rowCount === 1, within);
    await sql.query("update hark.jobs set run_at = clock_timestamp() where state = 'scheduled'");
  }
  await eventually(async () => (await manager.getStats()).failed === 1, within);

  const list = await send("View Dead Letter Queue");
  expect(list.status).toBe(200);
  expect(namesOf(list.answer)).toEqual(expect.arrayContaining(namesOf(list.shown)));
  const { id, ...shown } = list.shown.data[0];
  expect(list.answer).toMatchObject({ success: true, data: [shown], count: 1 });
  expect(typeof list.answer.data[0].id).toBe(typeof id);

  await manager.stop();
  const requeued = await send("Requeue Failed Job");
  expect(requeued).toMatchObject({ status: 200, answer: { success: true, data: { id: list.answer.data[0].id } } });
  expect((await sql.query("select state, attempt from hark.jobs")).rows).toEqual([{ state: "ready", attempt: 0 }]);
});

test("no name of an answer speaks of Redis", async ({ service }) => {
  for (const heading of ["Get Statistics", "View Dead Letter Queue", "Requeue Failed Job", "Add Job"]) {
    const { answer } = await service.send(heading);
    expect(JSON.stringify(answer)).not.toMatch(/redis/i);
  }
});

test("every route that it lists exists", async ({ service }) => {
  expect(listOf("Queue Routes")).toHaveLength(4);
  for (const line of listOf("Queue Routes")) {
    const [, method = "", path = ""] = /^- `(\w+) (\S+)`/.exec(line)!;
    const { status } = await fetch(service.server.url + path, { method });
    expect([200, 400, 415], line).toContain(status); // 400 and 415 for want of a body
  }
});

const renamed = (name: string) => name.replace("redisConnected", "databaseConnected");

/**
 * Returns the paths of all values, with their types: `data.queue.queued number`. Lists are read by
 * their first item.
 */
function namesOf(value: unknown, path = ""): string[] {
  if (typeof value !== "object" || value === null) return [`${path} ${typeof value}`];
  const entries = Array.isArray(value) ? [["0", value[0]] as const] : Object.entries(value);
  return entries.flatMap(([name, inner]) => namesOf(inner, path === "" ? name : `${path}.${name}`));
}
