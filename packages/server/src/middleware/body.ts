import type { Issue } from "@hark/core";
import { limits } from "@hark/core/internal";
import type { Context } from "hono";
import type { z } from "zod";
import { RequestRefusedError } from "../errors.ts";

/** Most properties in one body, over all its objects (SEC-19). */
const maxKeys = 10_000;
/** Names that would change prototypes if code merges objects without care (SEC-19). */
const forbiddenNames = new Set(["__proto__", "constructor", "prototype"]);

/**
 * Reads a request's body as JSON that `schema` accepts.
 * @throws RequestRefusedError for another media type, too many bytes, invalid JSON, and everything
 * that `schema` refuses
 */
export async function readBody<Schema extends z.ZodType>(
  request: Request,
  schema: Schema,
  maxBytes: number,
): Promise<z.output<Schema>> {
  checkMediaType(request.headers);
  const value = parseJson(await readBytes(request, maxBytes));
  const issues = shapeIssues(value);
  if (issues.length) refuse(issues);
  return check(schema, value, "INVALID_BODY", "The body");
}

/**
 * Reads a request's query with `schema`. Refuses a parameter that is unknown or given twice, since
 * it would otherwise be ignored without notice.
 * @throws RequestRefusedError
 */
export function readQuery<Schema extends z.ZodType>(c: Context, schema: Schema): z.output<Schema> {
  const given = Object.entries(c.req.queries()).map(([name, values]) => [
    name,
    values.length === 1 ? values[0] : values,
  ]);
  return check(schema, Object.fromEntries(given), "INVALID_QUERY", "The query");
}

/** Returns `value` as `schema` parses it, or throws an error that lists every issue. */
function check<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  code: "INVALID_BODY" | "INVALID_QUERY",
  what: string,
): z.output<Schema> {
  const checked = schema.safeParse(value);
  if (checked.success) return checked.data;
  const issues = checked.error.issues.map(({ message, path }) => ({
    message,
    path: path.map((step) => (typeof step === "symbol" ? String(step) : step)),
  }));
  throw new RequestRefusedError(code, `${what} was refused: see issues. Nothing was written.`, { issues });
}

function checkMediaType(headers: Headers): void {
  const refuseType = (message: string) => {
    throw new RequestRefusedError("UNSUPPORTED_MEDIA_TYPE", `${message} Nothing was written.`, {
      headers: { accept: "application/json" },
    });
  };
  if (!/^application\/json\s*(;\s*charset\s*=\s*"?utf-8"?\s*)?$/i.test(headers.get("content-type") ?? "")) {
    refuseType("Send the body as Content-Type: application/json, in UTF-8.");
  }
  const encoding = headers.get("content-encoding") ?? "identity";
  if (encoding.toLowerCase() !== "identity") refuseType("Send the body without compression.");
}

/** Counts the bytes as they arrive, because Content-Length may be missing or wrong. */
async function readBytes(request: Request, maxBytes: number): Promise<Buffer> {
  // The rest of the body stays unread, so the connection cannot serve another request.
  const refuseSize = () => {
    throw new RequestRefusedError("BODY_TOO_LARGE", `The body has more than ${maxBytes} bytes. Nothing was written.`, {
      headers: { connection: "close" },
    });
  };
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) refuseSize();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) refuseSize();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch {
    // The parser's message would quote the body.
    throw new RequestRefusedError("MALFORMED_JSON", "The body is not JSON in UTF-8. Nothing was written.");
  }
}

/**
 * Returns the issues that every body is checked for. Walks level by level, because recursion could
 * overflow the stack.
 */
function shapeIssues(body: unknown): Issue[] {
  let level = [body];
  let keys = 0;
  for (let depth = 1; level.length; depth += 1) {
    const next: unknown[] = [];
    for (const value of level) {
      if (typeof value !== "object" || value === null) continue;
      if (depth > limits.depth) return [{ path: [], message: `nested deeper than ${limits.depth} levels` }];
      if (!Array.isArray(value)) {
        const names = Object.keys(value);
        keys += names.length;
        if (keys > maxKeys) return [{ path: [], message: `has more than ${maxKeys} properties` }];
        const forbidden = names.find((name) => forbiddenNames.has(name));
        if (forbidden !== undefined)
          return [{ path: [forbidden], message: `a property may not be named ${forbidden}` }];
      }
      for (const item of Object.values(value)) next.push(item);
    }
    level = next;
  }
  return [];
}

function refuse(issues: Issue[]): never {
  throw new RequestRefusedError("INVALID_BODY", "The body was refused: see issues. Nothing was written.", { issues });
}
