import { createHash, timingSafeEqual } from "node:crypto";
import { InvalidOptionsError } from "@hark/core";
import type { MiddlewareHandler } from "hono";
import { RequestRefusedError } from "../errors.ts";

/** What `authorize` may judge by. Not the body: that is read later, with its limits. */
export type RequestHead = Pick<Request, "method" | "url" | "headers">;

export interface Credentials {
  /** Callers send it as `Authorization: Bearer ...`. */
  token?: string | undefined;
  /** Decides instead of a token: true lets the request in. */
  authorize?: ((request: RequestHead) => boolean | Promise<boolean>) | undefined;
}

/** Throws {@link InvalidOptionsError} for a token that no header can carry, such as an empty environment variable. */
export function checkCredentials({ token, authorize }: Credentials): void {
  const refuse = (message: string) => {
    throw new InvalidOptionsError("createServer", [{ path: ["token"], message }]);
  };
  if (token !== undefined && authorize !== undefined) refuse("give either a token or authorize, not both");
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token))
    refuse("must be visible ASCII without spaces, and not empty");
}

/** Lets in who proves to be allowed; everyone if there is no credential, which startServer permits on loopback only. */
export function authorizeBy({ token, authorize }: Credentials): MiddlewareHandler {
  const expected = token === undefined ? undefined : sha256(token);
  return async (c, next) => {
    const { method, url, headers } = c.req.raw;
    const isLetIn: unknown = authorize
      ? await authorize({ method, url, headers })
      : !expected || isToken(c.req.header("authorization"), expected);
    if (isLetIn === true) return next(); // nothing merely truthy: JavaScript callers may answer a user, or an error
    throw new RequestRefusedError("UNAUTHORIZED", "Send the server's token as Authorization: Bearer <token>.", {
      headers: { "www-authenticate": `Bearer realm="hark"` },
    });
  };
}

/** Hashes have one length and hide by how much a guess is wrong; the comparison runs whatever was sent (SEC-12). */
function isToken(header: string | undefined, expected: Buffer): boolean {
  const [, sent] = /^bearer +([\x21-\x7e]+)$/i.exec(header ?? "") ?? [];
  return timingSafeEqual(sha256(sent ?? ""), expected) && sent !== undefined;
}

const sha256 = (text: string) => createHash("sha256").update(text).digest();
