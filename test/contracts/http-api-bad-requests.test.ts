// @module-tag SEC-19
import { gzipSync } from "node:zlib";
import { describe } from "vitest";
import {
  ask,
  chunked,
  goodText,
  hangUp,
  jobText,
  isRefused,
  type Row,
  test,
  token,
  withHeaders,
} from "../support/bad-requests.ts";

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
  ["an unknown method", ask("ENQUEUE", "/api/queue/jobs"), 400, "MALFORMED_REQUEST"],
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
  ["no token for an unknown path", ask("GET", "/nowhere", { Authorization: undefined }), 401, "UNAUTHORIZED"],
  ["a re-bound host", withHeaders({ Host: "evil.example" }), 421, "HOST_NOT_ALLOWED"],
  ["a re-bound host with the right port", withHeaders({ Host: "evil.example:PORT" }), 421, "HOST_NOT_ALLOWED"],
  [
    "a host that starts like the right one",
    withHeaders({ Host: "localhost.evil.example:PORT" }),
    421,
    "HOST_NOT_ALLOWED",
  ],
  ["the right host with another port", withHeaders({ Host: "localhost:1" }), 421, "HOST_NOT_ALLOWED"],
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
  ["an invalid host", withHeaders({ Host: "127.0.0.1:PORT/x?" }), 400, "MALFORMED_REQUEST"],
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
  ["an invalid length", withHeaders({ "Content-Length": "ten" }), 400, "MALFORMED_REQUEST"],
  ["a negative length", withHeaders({ "Content-Length": "-1" }), 400, "MALFORMED_REQUEST"],
  [
    "two lengths",
    withHeaders({ "Content-Length": `${goodText.length}\r\nContent-Length: 1` }),
    400,
    "MALFORMED_REQUEST",
  ],
  ["a length and chunks", withHeaders({ "Transfer-Encoding": "chunked" }), 400, "MALFORMED_REQUEST"],
  ["invalid chunks", (port) => chunked(port, [goodText]), 400, "MALFORMED_REQUEST"],
  ["chunks without an end", (port) => chunked(port, ['5\r\n{"typ\r\n', hangUp]), 400, "MALFORMED_REQUEST"],
  ["headers of 20,000 bytes", withHeaders({ "X-Long": "x".repeat(20_000) }), 431, "HEADERS_TOO_LARGE"],
  ["a header without a name", withHeaders({ "": "x" }), 400, "MALFORMED_REQUEST"],
  ["a NUL in a header", withHeaders({ "X-Note": "a\0b" }), 400, "MALFORMED_REQUEST"],
  ["an invalid path", ask("POST", "api/queue/jobs", {}, goodText), 400, "MALFORMED_REQUEST"],
  ["a backslash in the path", ask("POST", "/api\\queue\\jobs", {}, goodText), 400, "MALFORMED_REQUEST"],
  ["half a request", () => ["POST /api/queue/jobs HTT", hangUp], 400, "MALFORMED_REQUEST"],
  ["bytes of another protocol", () => ["\x16\x03\x01\x02\x00\x01\x00"], 400, "MALFORMED_REQUEST"],
];

const groups: Record<string, Row[]> = {
  "an unknown path or method": wrongPlaces,
  "a caller without permission": strangers,
  "bytes that are not a request": wrongBytes,
};

describe.for(Object.entries(groups))("%s", ([, rows]) => {
  test.for(rows)("%s", isRefused);
});
