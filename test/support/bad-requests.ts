import { randomUUID } from "node:crypto";
import { connect } from "node:net";
import { borrowPool, type Database, silentLogger } from "@hark/core";
import { statements } from "@hark/core/internal";
import { urlJobs, startServer } from "@hark/job-manager";
import { createProducer } from "@hark/producer";
import { expect } from "vitest";
import { test as base } from "../setup/fixtures.ts";
import { registerWorker } from "./jobs.ts";

/*
 * Requests that are wrong in one way each. They are written to the socket byte by byte, because
 * fetch would correct or refuse many of them.
 */

export const token = "an-operator's-token";

export const test = base
  .extend("database", { scope: "file" }, async ({ pool }) => {
    const database = borrowPool(pool);
    await fillTables(database);
    return database;
  })
  .extend("port", { scope: "file" }, async ({ database }, { onCleanup }) => {
    const server = await startServer({ database, port: 0, token, logger: silentLogger });
    onCleanup(() => server.close());
    return server.port;
  });

/** Two dead letters and a waiting job, so that a bad request could change something. */
async function fillTables(database: Database): Promise<void> {
  const producer = createProducer({ database });
  const worker = await registerWorker(database);
  const claim = randomUUID();
  for (const page of ["1", "2"])
    await producer.enqueue(urlJobs[2], { target_url: `https://shop.example/${page}`, metadata: {} });
  const { jobs } = await statements.claimJobs(database, {
    queue: "default",
    limit: 2,
    worker,
    token: claim,
    types: ["product"],
  });
  const buried = jobs.map(
    ({ id }) => ({ id, token: claim, ending: "error", reason: "attempts_exhausted", error: "Error: no" }) as const,
  );
  await statements.buryJobs(database, statements.buriedOf(buried));
  await producer.enqueue(urlJobs[0], { target_url: "https://shop.example/", metadata: {} });
}

export async function tables(database: Database): Promise<{ jobs: unknown[]; dead: unknown[]; others: unknown }> {
  const [jobs, dead, others] = await Promise.all([
    database.pool.query("select * from hark.jobs order by id"),
    database.pool.query("select * from hark.dead_jobs order by id"),
    database.pool.query(
      `select (select count(*)::int from hark.running_jobs) running, (select count(*)::int from hark.finished_jobs) finished,
              (select count(*)::int from hark.unique_keys) keys, (select count(*)::int from hark.attempts) attempts`,
    ),
  ]);
  return { jobs: jobs.rows, dead: dead.rows, others: others.rows };
}

interface Answer {
  status: number;
  headers: string;
  body: any;
}

/**
 * Marks the end of what the client sends. Without it the client keeps its side open while it waits
 * for the response.
 */
export const hangUp: unique symbol = Symbol("hang up");
export type Part = string | Buffer | typeof hangUp;

/** Writes the bytes, and reads the first response to its end. */
export function send(port: number, parts: readonly Part[]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const received: Buffer[] = [];
    const socket = connect(port, "127.0.0.1");
    socket.setTimeout(20_000, () => socket.destroy(new Error("no response")));
    socket.on("data", (chunk: Buffer) => received.push(chunk));
    let failure: Error | undefined;
    socket.on("error", (error) => (failure = error)); // the server may close a connection that it refuses to read
    socket.on("close", () => {
      const text = Buffer.concat(received).toString();
      const head = text.slice(0, text.indexOf("\r\n\r\n"));
      const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1]);
      if (!head || Number.isNaN(length))
        return reject(failure ?? new Error(`no response, only ${JSON.stringify(text)}`));
      const bodyText = Buffer.from(text.slice(head.length + 4))
        .subarray(0, length)
        .toString();
      return resolve({ status: Number(head.split(" ")[1]), headers: head, body: bodyText && JSON.parse(bodyText) });
    });
    for (const part of parts) {
      if (part === hangUp) socket.end();
      else socket.write(part);
    }
  });
}

export type Headers = Record<string, string | undefined>;
export type Request = (port: number) => Part[];

/**
 * A request as any client would send it, except for the given headers. An undefined header is left
 * out.
 */
export function ask(method: string, path: string, headers: Headers = {}, body: string | Buffer = ""): Request {
  return (port) => {
    const all: Headers = {
      Host: `127.0.0.1:${port}`,
      Authorization: `Bearer ${token}`,
      Connection: "close",
      ...(method === "POST" && {
        "Content-Type": "application/json",
        "Content-Length": String(Buffer.byteLength(body)),
      }),
      ...headers,
    };
    const lines = Object.entries(all).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}: ${value.replaceAll("PORT", String(port))}`],
    );
    return [`${method} ${path.replaceAll("PORT", String(port))} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`, body];
  };
}

export const goodJob = { type: "product", target_url: "https://shop.example/new" };
export const goodText = JSON.stringify(goodJob);
export const jobText = (text: string | Buffer, headers?: Headers) => ask("POST", "/api/queue/jobs", headers, text);
export const job = (fields: object) => jobText(JSON.stringify({ ...goodJob, ...fields }));
/** A valid job except for one field, whose JSON JavaScript could not produce. */
export const jobWith = (field: string, json: string) =>
  jobText(`{"type":"product","target_url":"https://shop.example/new","${field}":${json}}`);
export const list = (query: string) => ask("GET", `/api/queue/dead-letter${query}`);
export const requeue = (choice: unknown) => ask("POST", "/api/queue/dead-letter/requeue", {}, JSON.stringify(choice));
export const withHeaders = (headers: Headers) => jobText(goodText, headers);

export const chunked = (port: number, chunks: Part[]): Part[] => {
  const [head] = jobText("", { "Content-Length": undefined, "Transfer-Encoding": "chunked" })(port);
  return [head!, ...chunks];
};

export type Row = [what: string, request: Request, status: number, code: string];

/**
 * Tests one row: its request gets its 4xx with a code, and the tables are the same before and
 * after.
 */
export async function isRefused(
  [, request, status, code]: Row,
  { port, database }: { port: number; database: Database },
): Promise<void> {
  const before = await tables(database);

  const answer = await send(port, request(port));

  expect(answer).toMatchObject({ status, body: { success: false, error: { code, message: expect.any(String) } } });
  expect(Object.keys(answer.body)).toEqual(["success", "error"]);
  expect(answer.headers).toMatch(/^content-type: application\/json/im);
  expect(JSON.stringify(answer.body).length).toBeLessThan(3_000);
  if (status === 401) expect(answer.headers).toMatch(/^www-authenticate: Bearer/im);
  if (status === 405) expect(answer.headers).toMatch(/^allow: [A-Z, ]+$/im);
  expect(await tables(database)).toEqual(before);
}
