// @module-tag SEC-19
// @module-tag SEC-21
import { describe, expect } from "vitest";
import {
  ask,
  chunked,
  goodText,
  job,
  jobText,
  jobWith,
  list,
  isRefused,
  type Request,
  requeue,
  type Row,
  send,
  tables,
  test,
  token,
  withHeaders,
} from "../support/bad-requests.ts";

const deep = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
const manyKeys = JSON.stringify(Object.fromEntries(Array.from({ length: 10_001 }, (_, index) => [`k${index}`, 0])));

const malformedJson: Row[] = [
  ["no body", jobText(""), 400, "MALFORMED_JSON"],
  ["half an object", jobText(goodText.slice(0, -1)), 400, "MALFORMED_JSON"],
  ["words", jobText("type=product"), 400, "MALFORMED_JSON"],
  ["single quotes", jobText("{'type':'product'}"), 400, "MALFORMED_JSON"],
  ["a trailing comma", jobText(goodText.replace("}", ",}")), 400, "MALFORMED_JSON"],
  ["two documents", jobText(goodText + goodText), 400, "MALFORMED_JSON"],
  ["NaN", jobWith("priority", "NaN"), 400, "MALFORMED_JSON"],
  ["a comment", jobText(`/* now */ ${goodText}`), 400, "MALFORMED_JSON"],
  ["bytes that are not UTF-8", jobText(Buffer.from(`{"type":"product\xff"}`, "latin1")), 400, "MALFORMED_JSON"],
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
  ["an empty object", jobText("{}"), 400, "INVALID_BODY"],
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
  ["an infinite number in metadata", jobWith("metadata", `{"size":1e400}`), 400, "INVALID_PAYLOAD"],
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
  ["an unknown id", requeue({ id: "9223372036854775807" }), 404, "DEAD_LETTER_NOT_FOUND"],
];

const groups: Record<string, Row[]> = {
  "a malformed body": malformedJson,
  "an invalid job": wrongJobs,
  "an invalid list request": wrongLists,
  "an invalid choice of a dead letter": wrongChoices,
};

describe.for(Object.entries(groups))("%s", ([, rows]) => {
  test.for(rows)("%s", isRefused);
});

test("the requests of the table are valid except for their one fault", async ({ port, database }) => {
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
