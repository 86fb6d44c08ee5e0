import { randomUUID } from "node:crypto";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { borrowPool, type Database, silentLogger, statements } from "@hark/core";
import { createProducer } from "@hark/producer";
import { missionJobs, startServer } from "@hark/server";
import { describe, expect } from "vitest";
import { test as base } from "../setup/fixtures.ts";

/*
 * Requests that are wrong in one way each, written to the socket byte by byte: fetch would mend or refuse many of them. Each
 * gets its 4xx with a code, and the tables are the same before and after.
 */

const token = "an-operator's-token";

const test = base
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

/** Two dead letters and a waiting job: something to lose. */
async function fillTables(database: Database): Promise<void> {
  const producer = createProducer({ database });
  const worker = randomUUID();
  const claim = randomUUID();
  for (const page of ["1", "2"])
    await producer.enqueue(missionJobs[2], { target_url: `https://shop.example/${page}`, metadata: {} });
  await statements.registerWorker(database, {
    id: worker,
    name: "doomed",
    hostname: "here",
    pid: 1,
    queues: "{}",
    leaseMs: 60_000,
  });
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
  await producer.enqueue(missionJobs[0], { target_url: "https://shop.example/", metadata: {} });
}

async function tables(database: Database): Promise<{ jobs: unknown[]; dead: unknown[]; others: unknown }> {
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

/** Stands for the end of what the client sends. Without it the client waits for the answer with its side open. */
const hangUp: unique symbol = Symbol("hang up");
type Part = string | Buffer | typeof hangUp;

/** Writes the bytes, and reads the first answer to its end. */
function send(port: number, parts: readonly Part[]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const received: Buffer[] = [];
    const socket = connect(port, "127.0.0.1");
    socket.setTimeout(20_000, () => socket.destroy(new Error("no answer")));
    socket.on("data", (chunk: Buffer) => received.push(chunk));
    let failure: Error | undefined;
    socket.on("error", (error) => (failure = error)); // the server may hang up on what it refuses to read
    socket.on("close", () => {
      const text = Buffer.concat(received).toString();
      const head = text.slice(0, text.indexOf("\r\n\r\n"));
      const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1]);
      if (!head || Number.isNaN(length)) return reject(failure ?? new Error(`no answer but ${JSON.stringify(text)}`));
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

type Headers = Record<string, string | undefined>;
type Request = (port: number) => Part[];

/** A request as any client would send it, except for the headers given; undefined leaves one out. */
function ask(method: string, path: string, headers: Headers = {}, body: string | Buffer = ""): Request {
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

const goodJob = { type: "product", target_url: "https://shop.example/new" };
const goodText = JSON.stringify(goodJob);
const jobText = (text: string | Buffer, headers?: Headers) => ask("POST", "/api/queue/jobs", headers, text);
const job = (fields: object) => jobText(JSON.stringify({ ...goodJob, ...fields }));
/** A good job but for one field, written as JSON that JavaScript could not make. */
const jobWith = (field: string, json: string) =>
  jobText(`{"type":"product","target_url":"https://shop.example/new","${field}":${json}}`);
const list = (query: string) => ask("GET", `/api/queue/dead-letter${query}`);
const requeue = (choice: unknown) => ask("POST", "/api/queue/dead-letter/requeue", {}, JSON.stringify(choice));
const withHeaders = (headers: Headers) => jobText(goodText, headers);

const deep = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
const manyKeys = JSON.stringify(Object.fromEntries(Array.from({ length: 10_001 }, (_, index) => [`k${index}`, 0])));
const chunked = (port: number, chunks: Part[]): Part[] => {
  const [head] = jobText("", { "Content-Length": undefined, "Transfer-Encoding": "chunked" })(port);
  return [head!, ...chunks];
};

type Row = [what: string, request: Request, status: number, code: string];

const malformedJson: Row[] = [
  ["no body", jobText(""), 400, "MALFORMED_JSON"],
  ["half an object", jobText(goodText.slice(0, -1)), 400, "MALFORMED_JSON"],
  ["words", jobText("type=product"), 400, "MALFORMED_JSON"],
  ["single quotes", jobText("{'type':'product'}"), 400, "MALFORMED_JSON"],
  ["a trailing comma", jobText(goodText.replace("}", ",}")), 400, "MALFORMED_JSON"],
  ["two documents", jobText(goodText + goodText), 400, "MALFORMED_JSON"],
  ["NaN", jobWith("priority", "NaN"), 400, "MALFORMED_JSON"],
  ["a comment", jobText(`/* now */ ${goodText}`), 400, "MALFORMED_JSON"],
  ["bytes that are no UTF-8", jobText(Buffer.from(`{"type":"product\xff"}`, "latin1")), 400, "MALFORMED_JSON"],
  ["UTF-16", jobText(Buffer.from(goodText, "utf16le")), 400, "MALFORMED_JSON"],
  ["a raw NUL in a string", jobText(goodText.replace("new", "ne\0w")), 400, "MALFORMED_JSON"],
  ["an array", jobText(`[${goodText}]`), 400, "INVALID_BODY"],
  ["a string", jobText(`"product"`), 400, "INVALID_BODY"],
  ["null", jobText("null"), 400, "INVALID_BODY"],
  ["65 levels", jobWith("metadata", `{"a":${deep(63)}}`), 400, "INVALID_BODY"],
  ["200,000 levels", jobText(deep(200_000)), 400, "INVALID_BODY"],
  ["10,001 properties", jobWith("metadata", manyKeys), 400, "INVALID_BODY"],
  ["__proto__", jobWith("__proto__", `{"isAdmin":true}`), 400, "INVALID_BODY"],
  ["__proto__ deep inside", jobWith("metadata", `{"a":[{"__proto__":{}}]}`), 400, "INVALID_BODY"],
  ["__proto__ in escapes", jobWith("metadata", `{"\\u005f_proto__":{}}`), 400, "INVALID_BODY"],
  ["constructor", jobWith("metadata", `{"constructor":{"prototype":{}}}`), 400, "INVALID_BODY"],
  ["prototype", jobWith("metadata", `{"prototype":{}}`), 400, "INVALID_BODY"],
];

const wrongJobs: Row[] = [
  ["nothing in it", jobText("{}"), 400, "INVALID_BODY"],
  ["no type", jobText(`{"target_url":"https://shop.example/new"}`), 400, "INVALID_BODY"],
  ["no target_url", jobText(`{"type":"product"}`), 400, "INVALID_BODY"],
  ...[1, null, true, ["product"], { product: 1 }].map((type): Row => [
    `type ${JSON.stringify(type)}`,
    job({ type }),
    400,
    "INVALID_BODY",
  ]),
  ...["", "Product", "product ", "email", "toString", "__proto__", "product\0", "\ud800", "x".repeat(10_000)].map(
    (type): Row => [`type ${JSON.stringify(type).slice(0, 20)}`, job({ type }), 400, "UNKNOWN_JOB_TYPE"],
  ),
  ...[
    1,
    null,
    {},
    ["https://shop.example/"],
    "",
    "shop.example",
    "/books",
    "//shop.example/",
    "http://",
    "https:shop.example",
    "http:/shop.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "ftp://shop.example/",
    "https://shop.example/a b",
    " https://shop.example/",
    "https://shop.example/\n",
    "ht\ntps://shop.example/",
    "https://shop.example/\0",
    "https://shop.example/\ud800",
    "https://shop.example\\@evil/",
    "http://[::1",
    "http://shop.example:99999/",
    `https://shop.example/${"x".repeat(10_240)}`,
  ].map((target_url): Row => [
    `target_url ${JSON.stringify(target_url).slice(0, 40)}`,
    job({ target_url }),
    400,
    "INVALID_BODY",
  ]),
  ...["1.5", "2147483648", "-2147483649", "1e10", "1e400", `"1"`, "null", "true", "[]"].map((priority): Row => [
    `priority ${priority}`,
    jobWith("priority", priority),
    400,
    "INVALID_BODY",
  ]),
  ...["null", "[]", `"{}"`, "1"].map((metadata): Row => [
    `metadata ${metadata}`,
    jobWith("metadata", metadata),
    400,
    "INVALID_BODY",
  ]),
  ["a NUL in metadata", job({ metadata: { note: "a\0b" } }), 400, "INVALID_PAYLOAD"],
  ["a NUL in a name of metadata", job({ metadata: { "a\0b": 1 } }), 400, "INVALID_PAYLOAD"],
  ["half a surrogate pair in metadata", jobWith("metadata", `{"note":"\\ud800"}`), 400, "INVALID_PAYLOAD"],
  ["a number beyond all in metadata", jobWith("metadata", `{"size":1e400}`), 400, "INVALID_PAYLOAD"],
  ["a payload over its limit", job({ metadata: { text: "x".repeat(300_000) } }), 413, "PAYLOAD_TOO_LARGE"],
  ...["id", "queue", "key", "status", "run_at", "Priority", ""].map((field): Row => [
    `field "${field}"`,
    job({ [field]: "x" }),
    400,
    "INVALID_BODY",
  ]),
  ["100,000 bytes of unknown names", job({ ["x".repeat(100_000)]: 1 }), 400, "INVALID_BODY"],
  ["a query", ask("POST", "/api/queue/jobs?priority=9", {}, goodText), 400, "INVALID_QUERY"],
];

const wrongLists: Row[] = [
  ...["0", "-1", "201", "1000000000", "1e2", "abc", "", "1.5", "%205", "0x10", "1%00", "01", "1;drop", "٣"].map(
    (limit): Row => [`limit=${limit}`, list(`?limit=${encodeURI(decodeURI(limit))}`), 400, "INVALID_QUERY"],
  ),
  ["limit twice", list("?limit=1&limit=2"), 400, "INVALID_QUERY"],
  ["limit as a list", list("?limit[]=1"), 400, "INVALID_QUERY"],
  ["an unknown parameter", list("?limt=5"), 400, "INVALID_QUERY"],
  ["__proto__ as a parameter", list("?__proto__=1"), 400, "INVALID_QUERY"],
  ["a query for stats", ask("GET", "/api/queue/stats?queue=default"), 400, "INVALID_QUERY"],
];

const wrongChoices: Row[] = [
  ...[
    {},
    { index: 0, id: "1" },
    { index: -1 },
    { index: 0.5 },
    { index: "0" },
    { index: null },
    { index: 1e10 },
    { index: true },
    { id: 1 },
    { id: "abc" },
    { id: "" },
    { id: "-1" },
    { id: "0" },
    { id: "01" },
    { id: "1.0" },
    { id: "1e3" },
    { id: " 1" },
    { id: "1\0" },
    { id: "9223372036854775808" },
    { id: "9".repeat(30) },
    { id: null },
    { id: ["1"] },
    { id: "1 or true" },
    { index: 0, force: true },
    [0],
    [],
    0,
  ].map((choice): Row => [`requeue ${JSON.stringify(choice)}`, requeue(choice), 400, "INVALID_BODY"]),
  ["index beyond the end", requeue({ index: 2 }), 404, "DEAD_LETTER_NOT_FOUND"],
  ["an id that nobody has", requeue({ id: "9223372036854775807" }), 404, "DEAD_LETTER_NOT_FOUND"],
];

const wrongPlaces: Row[] = [
  ...["PUT", "GET", "DELETE", "PATCH", "OPTIONS", "TRACE"].map((method): Row => [
    `${method} jobs`,
    ask(method, "/api/queue/jobs"),
    405,
    "METHOD_NOT_ALLOWED",
  ]),
  ["POST stats", ask("POST", "/api/queue/stats", {}, "{}"), 405, "METHOD_NOT_ALLOWED"],
  ["POST dead-letter", ask("POST", "/api/queue/dead-letter", {}, "{}"), 405, "METHOD_NOT_ALLOWED"],
  ["GET requeue", ask("GET", "/api/queue/dead-letter/requeue"), 405, "METHOD_NOT_ALLOWED"],
  ["POST livez", ask("POST", "/livez", {}, "{}"), 405, "METHOD_NOT_ALLOWED"],
  ...[
    "/",
    "/api/queue",
    "/api/queue/",
    "/api/queue/job",
    "/api/queue/jobs/",
    "/api/queue/jobs/1",
    "/API/queue/jobs",
    "//api/queue/jobs",
  ].map((path): Row => [`POST ${path}`, ask("POST", path, {}, goodText), 404, "NOT_FOUND"]),
  ["a method that is none", ask("ENQUEUE", "/api/queue/jobs"), 400, "MALFORMED_REQUEST"],
  ["a method in lower case", ask("post", "/api/queue/jobs"), 400, "MALFORMED_REQUEST"],
];

const strangers: Row[] = [
  ["no token", withHeaders({ Authorization: undefined }), 401, "UNAUTHORIZED"],
  ["a wrong token", withHeaders({ Authorization: "Bearer wrong" }), 401, "UNAUTHORIZED"],
  ["the start of the token", withHeaders({ Authorization: `Bearer ${token.slice(0, -1)}` }), 401, "UNAUTHORIZED"],
  ["the token and more", withHeaders({ Authorization: `Bearer ${token}x` }), 401, "UNAUTHORIZED"],
  ["the token in capitals", withHeaders({ Authorization: `Bearer ${token.toUpperCase()}` }), 401, "UNAUTHORIZED"],
  ["the token without a scheme", withHeaders({ Authorization: token }), 401, "UNAUTHORIZED"],
  ["no token after the scheme", withHeaders({ Authorization: "Bearer" }), 401, "UNAUTHORIZED"],
  [
    "another scheme",
    withHeaders({ Authorization: `Basic ${Buffer.from(`:${token}`).toString("base64")}` }),
    401,
    "UNAUTHORIZED",
  ],
  ["two tokens", withHeaders({ Authorization: `Bearer ${token} ${token}` }), 401, "UNAUTHORIZED"],
  [
    "the token in the query",
    ask("POST", `/api/queue/jobs?token=${token}`, { Authorization: undefined }, goodText),
    401,
    "UNAUTHORIZED",
  ],
  ["no token for stats", ask("GET", "/api/queue/stats", { Authorization: undefined }), 401, "UNAUTHORIZED"],
  [
    "no token for dead letters",
    ask("GET", "/api/queue/dead-letter", { Authorization: undefined }),
    401,
    "UNAUTHORIZED",
  ],
  ["no token for nothing", ask("GET", "/nowhere", { Authorization: undefined }), 401, "UNAUTHORIZED"],
  ["a re-bound host", withHeaders({ Host: "evil.example" }), 421, "HOST_NOT_ALLOWED"],
  ["a re-bound host with our port", withHeaders({ Host: "evil.example:PORT" }), 421, "HOST_NOT_ALLOWED"],
  ["a host that starts like ours", withHeaders({ Host: "localhost.evil.example:PORT" }), 421, "HOST_NOT_ALLOWED"],
  ["another port of ours", withHeaders({ Host: "localhost:1" }), 421, "HOST_NOT_ALLOWED"],
  ["no port", withHeaders({ Host: "localhost" }), 421, "HOST_NOT_ALLOWED"],
  ["a re-bound host for livez", ask("GET", "/livez", { Host: "evil.example" }), 421, "HOST_NOT_ALLOWED"],
  [
    "another host in the request line",
    ask("POST", "http://evil.example/api/queue/jobs", {}, goodText),
    421,
    "HOST_NOT_ALLOWED",
  ],
  [
    "another host in the header",
    ask("POST", "http://127.0.0.1:PORT/api/queue/jobs", { Host: "evil.example" }, goodText),
    421,
    "HOST_NOT_ALLOWED",
  ],
  ["an empty host", withHeaders({ Host: "" }), 400, "MALFORMED_REQUEST"],
  ["a host that is none", withHeaders({ Host: "127.0.0.1:PORT/x?" }), 400, "MALFORMED_REQUEST"],
  ["no host", withHeaders({ Host: undefined }), 400, "MALFORMED_REQUEST"],
  ["another site's page", withHeaders({ "Sec-Fetch-Site": "cross-site" }), 403, "CROSS_SITE"],
  ["a sibling site's page", withHeaders({ "Sec-Fetch-Site": "same-site" }), 403, "CROSS_SITE"],
  ["another site's page in an old browser", withHeaders({ Origin: "https://evil.example" }), 403, "CROSS_SITE"],
  ["another port's page in an old browser", withHeaders({ Origin: "http://127.0.0.1:1" }), 403, "CROSS_SITE"],
  ["a sandboxed page in an old browser", withHeaders({ Origin: "null" }), 403, "CROSS_SITE"],
  [
    "another site's form",
    ask(
      "POST",
      "/api/queue/dead-letter/requeue",
      { "Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain" },
      `{"index":0}`,
    ),
    403,
    "CROSS_SITE",
  ],
];

const bomb = gzipSync(Buffer.alloc(10_000_000));
const wrongBytes: Row[] = [
  ...[
    undefined,
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/jsonp",
    "application/json; charset=utf-16",
    "application/json, text/plain",
  ].map((type): Row => [`Content-Type ${type}`, withHeaders({ "Content-Type": type }), 415, "UNSUPPORTED_MEDIA_TYPE"]),
  ["a gzip bomb", jobText(bomb, { "Content-Encoding": "gzip" }), 415, "UNSUPPORTED_MEDIA_TYPE"],
  ["600,000 bytes", jobText(`"${"x".repeat(600_000)}"`), 413, "BODY_TOO_LARGE"],
  [
    "10 MB in chunks",
    (port) => chunked(port, Array(160).fill(`10000\r\n${"x".repeat(65_536)}\r\n`)),
    413,
    "BODY_TOO_LARGE",
  ],
  ["10 MB announced", withHeaders({ "Content-Length": "10000000" }), 413, "BODY_TOO_LARGE"],
  [
    "more announced than sent",
    (port) => [...withHeaders({ "Content-Length": String(goodText.length + 10) })(port), hangUp],
    400,
    "MALFORMED_REQUEST",
  ],
  ["less announced than sent", withHeaders({ "Content-Length": "10" }), 400, "MALFORMED_JSON"],
  ["a length that is none", withHeaders({ "Content-Length": "ten" }), 400, "MALFORMED_REQUEST"],
  ["a negative length", withHeaders({ "Content-Length": "-1" }), 400, "MALFORMED_REQUEST"],
  [
    "two lengths",
    withHeaders({ "Content-Length": `${goodText.length}\r\nContent-Length: 1` }),
    400,
    "MALFORMED_REQUEST",
  ],
  ["a length and chunks", withHeaders({ "Transfer-Encoding": "chunked" }), 400, "MALFORMED_REQUEST"],
  ["chunks that are none", (port) => chunked(port, [goodText]), 400, "MALFORMED_REQUEST"],
  ["chunks without an end", (port) => chunked(port, ['5\r\n{"typ\r\n', hangUp]), 400, "MALFORMED_REQUEST"],
  ["headers of 20,000 bytes", withHeaders({ "X-Long": "x".repeat(20_000) }), 431, "HEADERS_TOO_LARGE"],
  ["a header without a name", withHeaders({ "": "x" }), 400, "MALFORMED_REQUEST"],
  ["a NUL in a header", withHeaders({ "X-Note": "a\0b" }), 400, "MALFORMED_REQUEST"],
  ["a path that is none", ask("POST", "api/queue/jobs", {}, goodText), 400, "MALFORMED_REQUEST"],
  ["a backslash in the path", ask("POST", "/api\\queue\\jobs", {}, goodText), 400, "MALFORMED_REQUEST"],
  ["half a request", () => ["POST /api/queue/jobs HTT", hangUp], 400, "MALFORMED_REQUEST"],
  ["no HTTP at all", () => ["\x16\x03\x01\x02\x00\x01\x00"], 400, "MALFORMED_REQUEST"],
];

const groups: Record<string, Row[]> = {
  "a body that is no object": malformedJson,
  "a job that is none": wrongJobs,
  "a list that nobody can have": wrongLists,
  "a choice of no dead letter": wrongChoices,
  "a place or method that is none": wrongPlaces,
  "a caller without the right": strangers,
  "bytes that are no request": wrongBytes,
};

describe.for(Object.entries(groups))("%s", ([, rows]) => {
  test.for(rows)("%s", async ([, request, status, code], { port, database }) => {
    const before = await tables(database);

    const answer = await send(port, request(port));

    expect(answer).toMatchObject({ status, body: { success: false, error: { code, message: expect.any(String) } } });
    expect(Object.keys(answer.body)).toEqual(["success", "error"]);
    expect(answer.headers).toMatch(/^content-type: application\/json/im);
    expect(JSON.stringify(answer.body).length).toBeLessThan(3_000);
    if (status === 401) expect(answer.headers).toMatch(/^www-authenticate: Bearer/im);
    if (status === 405) expect(answer.headers).toMatch(/^allow: [A-Z, ]+$/im);
    expect(await tables(database)).toEqual(before);
  });
});

test("the table's requests are good but for what is wrong with them", async ({ port, database }) => {
  const before = await tables(database);
  const good: Request[] = [
    jobText(goodText),
    withHeaders({
      Host: "localhost:PORT",
      Authorization: `bearer  ${token}`,
      "Content-Type": `Application/JSON; charset="UTF-8"`,
    }),
    withHeaders({ Host: "[::1]:PORT", "Sec-Fetch-Site": "same-origin" }),
    withHeaders({ Origin: "http://127.0.0.1:PORT" }),
    jobWith("priority", "-2147483648"),
    jobWith("metadata", `{"a":${deep(62)}}`),
    job({ target_url: `https://shop.example/${"x".repeat(1_003)}` }),
    (at) => chunked(at, [`${goodText.length.toString(16)}\r\n${goodText}\r\n0\r\n\r\n`]),
    (at) => [...jobText(goodText)(at), "and then something else"],
    (at) => [...jobText(goodText, { Connection: "keep-alive" })(at), "and then something else"],
  ];
  for (const request of good)
    expect(await send(port, request(port))).toMatchObject({ status: 201, body: { success: true } });

  expect((await send(port, list("?limit=200")(port))).body.count).toBe(2);
  expect((await send(port, requeue({ index: 1 })(port))).status).toBe(200);
  const after = await tables(database);
  expect(after.jobs.length).toBe(before.jobs.length + good.length + 1);
  expect(after.dead.length).toBe(before.dead.length - 1);
});
