import { createServer, type RequestListener } from "node:http";
import { gzipSync } from "node:zlib";
import { afterEach, expect, test } from "vitest";
import { listenOnLoopback } from "../listen-on-loopback.ts";
import { fetchPage } from "./fetch-page.ts";

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

async function serve(listener: RequestListener): Promise<string> {
  const listening = await listenOnLoopback(createServer(listener));
  open.push(listening);
  return listening.origin;
}

const html = { "content-type": "text/html; charset=utf-8" };

test("a page is returned with its status, type and text, even if it is an error", async () => {
  const origin = await serve((_, response) => response.writeHead(404, html).end("<p>é"));

  expect(await fetchPage(`${origin}/x`)).toEqual({
    url: `${origin}/x`,
    finalUrl: `${origin}/x`,
    status: 404,
    contentType: html["content-type"],
    body: "<p>é",
    isCut: false,
  });
});

test("Retry-After is returned in ms, and a date is read by the site's own clock", async () => {
  const origin = await serve((request, response) => {
    const wait = request.url === "/date" ? "Sun, 06 Nov 1994 08:49:40 GMT" : "2";
    response.writeHead(503, { date: "Sun, 06 Nov 1994 08:49:37 GMT", "retry-after": wait }).end();
  });

  expect(await fetchPage(`${origin}/seconds`)).toMatchObject({ status: 503, retryAfterMs: 2000 });
  expect(await fetchPage(`${origin}/date`)).toMatchObject({ status: 503, retryAfterMs: 3000 });
});

test("latin1 is read, whether the header or the page names it", async () => {
  const origin = await serve((request, response) => {
    response.setHeader("content-type", request.url === "/header" ? "text/html; charset=iso-8859-1" : "text/html");
    response.end(Buffer.from("<meta charset=iso-8859-1><p>S\u00f8ren", "latin1"));
  });

  expect((await fetchPage(`${origin}/header`)).body).toContain("Søren");
  expect((await fetchPage(`${origin}/meta`)).body).toContain("Søren");
});

test("an endless page is cut off, and its download stops", async () => {
  let hungUp: () => void;
  const stopped = new Promise<void>((resolve) => {
    hungUp = resolve;
  });
  const origin = await serve((_, response) => {
    response.writeHead(200, html);
    const more = setInterval(() => response.write("x".repeat(10_000)), 1);
    response.on("close", () => {
      clearInterval(more);
      hungUp();
    });
  });

  const page = await fetchPage(origin, { maxBytes: 25_000 });

  expect(page.isCut).toBe(true);
  expect(page.body).toHaveLength(25_000);
  await stopped;
});

test("the limit counts the decompressed size of a page", async () => {
  const packed = gzipSync("x".repeat(1_000_000));
  const origin = await serve((_, response) =>
    response.writeHead(200, { ...html, "content-encoding": "gzip" }).end(packed),
  );

  expect(await fetchPage(origin, { maxBytes: 25_000 })).toMatchObject({ isCut: true, body: "x".repeat(25_000) });
  expect(await fetchPage(origin, { maxBytes: 1_000_000 })).toMatchObject({ isCut: false });
});

test("a response that is not HTML is not downloaded", async () => {
  const origin = await serve((_, response) =>
    response.writeHead(200, { "content-type": "application/pdf" }).write("%PDF"),
  );

  expect(await fetchPage(origin)).toMatchObject({
    status: 200,
    contentType: "application/pdf",
    body: "",
    isCut: false,
  });
});

test("a page that takes too long is given up, before its headers or in the middle", async () => {
  const origin = await serve((request, response) => {
    if (request.url === "/middle") response.writeHead(200, html).write("<p>begun");
  });

  for (const path of ["/silent", "/middle"]) {
    await expect(fetchPage(origin + path, { timeoutMs: 50 })).rejects.toMatchObject({
      name: "FetchError",
      code: "FETCH_TIMEOUT",
    });
  }
});

test("the caller's signal ends the fetch with the caller's reason", async () => {
  const reason = new Error("the worker stops");
  const controller = new AbortController();
  const origin = await serve(() => controller.abort(reason));

  await expect(fetchPage(origin, { signal: controller.signal })).rejects.toBe(reason);
  await expect(fetchPage(origin, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
});

test("redirects within the site are followed, and relative ones are resolved", async () => {
  const origin = await serve((request, response) => {
    const target = { "/a": "/b/c", "/b/c": "d?x=1" }[request.url ?? ""];
    if (target) response.writeHead(302, { location: target }).end();
    else response.writeHead(200, html).end("there");
  });

  expect(await fetchPage(`${origin}/a`)).toMatchObject({
    url: `${origin}/a`,
    finalUrl: `${origin}/b/d?x=1`,
    status: 200,
    body: "there",
  });
});

test("circular redirects end in an error after the allowed number of requests", async () => {
  let requests = 0;
  const origin = await serve((request, response) => {
    requests += 1;
    response.writeHead(301, { location: request.url === "/a" ? "/b" : "/a" }).end();
  });

  await expect(fetchPage(`${origin}/a`)).rejects.toMatchObject({ code: "REDIRECT_LIMIT" });
  expect(requests).toBe(6);
});

test.each(["http://elsewhere.test/", "mailto:a@b.test", "http://", undefined])(
  "a redirect to %s is the result itself",
  async (location) => {
    const origin = await serve((_, response) =>
      response.writeHead(302, location === undefined ? {} : { location }).end(),
    );

    expect(await fetchPage(origin)).toMatchObject({ status: 302, finalUrl: origin, body: "" });
  },
);

test("a host that closes the connection or does not listen is an error with its reason", async () => {
  const origin = await serve((_, response) => response.destroy());
  await expect(fetchPage(origin)).rejects.toMatchObject({
    code: "FETCH_FAILED",
    message: expect.stringContaining("other side closed"),
  });

  await open.pop()?.close();
  await expect(fetchPage(origin)).rejects.toMatchObject({
    code: "FETCH_FAILED",
    message: expect.stringContaining("ECONNREFUSED"),
  });
});
