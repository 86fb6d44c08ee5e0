import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { listenOnLoopback } from "../listen-on-loopback.ts";
import { escapeHtml } from "./escape-html.ts";
import { makeCatalogue } from "./make-catalogue.ts";
import type { Trouble } from "./make-troubles.ts";
import { pageShell } from "./page-shell.ts";
import { pageRenderer } from "./render-page.ts";
import { RequestLog, type LoggedRequest } from "./request-log.ts";
import { makeFacts, type ShopFacts } from "./shop-facts.ts";

export interface Shop {
  /** The first page, in canonical form. */
  url: string;
  facts: ShopFacts & { requests: RequestLog };
  close(): Promise<void>;
}

/**
 * Starts a book shop to crawl on 127.0.0.1. It is made from the seed, with pages that are slow,
 * busy, gone, failing or broken in known places. `port` is any free one by default. `pace`
 * multiplies every delay of a slow page: 0 removes the delays, for tests that are not about time.
 * Retry-After is in whole seconds and not enforced.
 */
export async function startShop({
  seed,
  books = 300,
  port = 0,
  pace = 1,
}: {
  seed: number;
  books?: number;
  port?: number;
  pace?: number;
}): Promise<Shop> {
  const catalogue = makeCatalogue({ seed, books });
  const requests = new RequestLog();
  const refused = new Map<string, number>();
  const closing = new AbortController();
  let origin = "";
  let render: ReturnType<typeof pageRenderer> = () => null;

  async function answer(request: IncomingMessage, response: ServerResponse, entry: LoggedRequest): Promise<void> {
    if (request.method !== "GET" && request.method !== "HEAD")
      return send(response, 405, errorPage("Read only"), { allow: "GET, HEAD" });

    const path = withoutTracking(request.url ?? "/");
    const trouble = catalogue.troubles.get(path);
    const page = render(path);
    if (trouble?.kind === "gone" || !page) return send(response, 404, errorPage("No such page"));
    if (trouble?.kind === "failing") return send(response, 500, errorPage("The till is jammed"));
    if (trouble?.kind === "slow") await sleep(trouble.delayMs * pace, undefined, { signal: closing.signal });

    const refusals = refused.get(path) ?? 0;
    if (trouble?.kind === "busy" && refusals < trouble.refusals) {
      refused.set(path, refusals + 1);
      entry.retryAfterMs = trouble.retryAfterSeconds * 1000;
      return send(response, 503, errorPage("Too busy"), { "retry-after": retryAfter(trouble) });
    }
    send(response, 200, page.body, { "content-type": page.contentType });
  }

  function errorPage(title: string): Buffer {
    return Buffer.from(pageShell(catalogue, { title, main: `<h1>${escapeHtml(title)}</h1>` }));
  }

  const server = createServer((request, response) => {
    const { entry, end } = requests.begin(origin + (request.url ?? ""));
    response.once("finish", () => end(response.statusCode));
    response.once("close", () => end(null));
    answer(request, response, entry).catch((error: unknown) =>
      response.destroy(error instanceof Error ? error : undefined),
    );
  });
  const listening = await listenOnLoopback(server, port);
  origin = listening.origin;
  render = pageRenderer(catalogue, origin);

  return {
    url: `${origin}/`,
    facts: { ...makeFacts(catalogue, origin), requests },
    close: async () => {
      closing.abort();
      await listening.close();
    },
  };
}

/** The shop treats a link with tracking parameters like the plain one, as every shop does. */
function withoutTracking(target: string): string {
  return target.replace(/[?&]utm_[^#]*$/, "");
}

function send(response: ServerResponse, status: number, body: Buffer, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "text/html; charset=utf-8", "content-length": body.length, ...headers });
  response.end(body);
}

/** A date has whole seconds only. It is rounded up, so that it never asks for too short a wait. */
function retryAfter({ retryAfterSeconds, as }: Extract<Trouble, { kind: "busy" }>): string {
  if (as === "seconds") return String(retryAfterSeconds);
  return new Date(Math.ceil(Date.now() / 1000 + retryAfterSeconds) * 1000).toUTCString();
}
