import { createReadStream } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { extname, join, sep } from "node:path";
import { pipeline } from "node:stream/promises";
import { listenOnLoopback } from "./listen-on-loopback.ts";

export interface StaticSite {
  /** The folder itself, ending in a slash. */
  url: string;
  /** How often each path was requested, query included, as written. */
  requests: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

/** HTML is served without a charset: real folders mix charsets, and the pages name their own. */
const contentTypes: Record<string, string> = {
  ".html": "text/html",
  ".htm": "text/html",
  ".xhtml": "application/xhtml+xml",
  ".css": "text/css",
  ".js": "text/javascript",
  ".json": "application/json",
  ".txt": "text/plain; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".gif": "image/gif",
  ".pdf": "application/pdf",
};

/**
 * Serves a folder of HTML on 127.0.0.1, as something to crawl. Nothing outside the folder is
 * served, neither by `..` in any spelling nor by a symbolic link. A folder is served as its
 * index.html. Throws if the folder does not exist.
 */
export async function serveFolder(directory: string, { port = 0 }: { port?: number } = {}): Promise<StaticSite> {
  const root = await realpath(directory);
  const requests = new Map<string, number>();

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = request.url ?? "/";
    requests.set(target, (requests.get(target) ?? 0) + 1);
    if (request.method !== "GET" && request.method !== "HEAD") return end(response, 405, { allow: "GET, HEAD" });

    const [path = "/", query] = target.split("?", 2);
    const found = await findFile(root, path);
    if (!found) return end(response, 404);
    if (found.needsSlash) {
      // Redirects by name only, never by the whole path: "//host/" would send the reader to another
      // site.
      return end(response, 301, { location: `./${path.split("/").at(-1)}/${query === undefined ? "" : `?${query}`}` });
    }

    const type = contentTypes[extname(found.file).toLowerCase()] ?? "application/octet-stream";
    response.writeHead(200, { "content-type": type, "content-length": found.size });
    if (request.method === "HEAD") response.end();
    else await pipeline(createReadStream(found.file), response);
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy()); // the client closed the connection, or the file was removed
  });
  const { origin, close } = await listenOnLoopback(server, port);
  return { url: `${origin}/`, requests, close };
}

function end(response: ServerResponse, status: number, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "text/plain", "content-length": 0, ...headers }).end();
}

interface FoundFile {
  file: string;
  size: number;
  /** A folder was requested without its slash: relative links on its index would be wrong. */
  needsSlash: boolean;
}

/** Returns the file for the path of a request, or null if there is none inside the root. */
async function findFile(root: string, path: string): Promise<FoundFile | null> {
  try {
    const wanted = await realpath(join(root, decodeURIComponent(path)));
    if (wanted !== root && !wanted.startsWith(root + sep)) return null;

    const isFolder = (await stat(wanted)).isDirectory();
    if (!isFolder && path.endsWith("/")) return null;
    const file = isFolder ? await realpath(join(wanted, "index.html")) : wanted;
    if (!file.startsWith(root + sep)) return null;

    const found = await stat(file);
    return found.isFile() ? { file, size: found.size, needsSlash: isFolder && !path.endsWith("/") } : null;
  } catch {
    return null; // no such file, a path that cannot be decoded, or a NUL in it
  }
}
