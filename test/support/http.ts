import { request } from "node:http";

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: any;
}

export interface Call {
  method?: string;
  headers?: Record<string, string>;
  body?: unknown;
}

/**
 * Sends a call with any headers: fetch would not send some of them, such as Host and
 * Sec-Fetch-Site.
 */
export function call(url: string, { method = "GET", headers = {}, body }: Call = {}): Promise<Answer> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const asked = request(
      url,
      {
        method,
        headers: { ...(text !== undefined && { "content-type": "application/json" }), ...headers },
        agent: false,
      },
      (response) => {
        let received = "";
        response.setEncoding("utf8").on("data", (chunk: string) => (received += chunk));
        response.on("end", () =>
          resolve({
            status: response.statusCode!,
            headers: response.headers,
            body: received === "" ? undefined : JSON.parse(received),
          }),
        );
      },
    );
    asked.setTimeout(20_000, () => asked.destroy(new Error("no response within 20 s")));
    asked.on("error", reject);
    asked.end(text);
  });
}

/**
 * Every route of the API, with a valid body where it needs one. `pattern` is the path as documents
 * show it, if that is another.
 */
export const routes: readonly (Call & { method: string; path: string; pattern?: string; isOpen?: boolean })[] = [
  { method: "GET", path: "/livez", isOpen: true },
  { method: "GET", path: "/readyz", isOpen: true },
  { method: "GET", path: "/api/queue/stats" },
  { method: "GET", path: "/api/queue/dead-letter" },
  { method: "POST", path: "/api/queue/jobs", body: { type: "product", target_url: "https://shop.example/1" } },
  { method: "POST", path: "/api/queue/dead-letter/requeue", body: { id: "1" } },
  { method: "POST", path: "/api/queue/dead-letter/prune", body: { older_than: 3_600_000 } },
  { method: "DELETE", path: "/api/queue/dead-letter/1", pattern: "/api/queue/dead-letter/:id" },
];
