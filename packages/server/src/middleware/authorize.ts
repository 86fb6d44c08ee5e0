import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { InvalidOptionsError } from "@hark/core";
import type { Context, MiddlewareHandler } from "hono";
import { RequestRefusedError } from "../errors.ts";
import { Access, type Env, type Scope } from "./access.ts";
import { doubtOfCaller } from "./local-caller.ts";
import { RateLimiter, tooManyRequests } from "./rate-limit.ts";

/** The part of a request that `authorize` gets. The body is read later, with its limits. */
export type RequestHead = Pick<Request, "method" | "url" | "headers">;

/**
 * A bearer token of one caller. Give its SHA-256 instead to keep the token out of the configuration
 * (SEC-11).
 */
export type AccessToken = {
  /** Name for limits and logs. Two tokens may share a name while one replaces the other. */
  name: string;
  /** The caller's rights: `read`, `enqueue`, `enqueue:<queue>`, `admin`. */
  scopes: readonly Scope[];
  /** The token is refused from this time on. Default: never. */
  expiresAt?: Date;
} & (
  | {
      /** The token itself, at least 32 characters. Either this or `sha256`. */
      token: string;
    }
  | {
      /** The token's SHA-256 in hex. */
      sha256: string;
    }
);

export interface Credentials {
  /** The one token. Callers send it as `Authorization: Bearer ...`, and may do everything. */
  token?: string | undefined;
  /** Tokens of several callers, each with its scopes. Make a token with `openssl rand -hex 32`. */
  tokens?: readonly AccessToken[] | undefined;
  /**
   * Decides in place of tokens. True allows the request everything, a list of scopes allows what
   * they cover.
   */
  authorize?: ((request: RequestHead) => boolean | readonly Scope[] | Promise<boolean | readonly Scope[]>) | undefined;
}

/** Returns true if there is any credential. Without one, a server serves this machine only. */
export const isClosed = ({ token, tokens, authorize }: Credentials): boolean =>
  token !== undefined || tokens !== undefined || authorize !== undefined;

/**
 * Least characters of a token in `tokens`: 32 hex characters are 128 bits. `openssl rand -hex 32`
 * makes 64.
 */
const leastLength = 32;

/**
 * Requests without a valid token that one address may send: `burst` at once, then `perSecond`.
 * Guessing 256 bits is hopeless. The limit keeps attempts cheap for the server.
 */
const strangers = { burst: 100, perSecond: 2 };

/**
 * Throws {@link InvalidOptionsError} for credentials that contradict each other, or that a header
 * cannot hold.
 */
export function checkCredentials({ token, tokens, authorize }: Credentials): void {
  const refuse = (message: string, ...path: (string | number)[]) => {
    throw new InvalidOptionsError("createServer", [{ path, message }]);
  };
  if ([token, tokens, authorize].filter((given) => given !== undefined).length > 1)
    refuse("give only one of token, tokens and authorize", "token");
  if (token !== undefined && !isVisible(token)) refuse("must be visible ASCII without spaces, and not empty", "token");
  if (tokens?.length === 0) refuse("must not be empty: every request would be refused", "tokens");
  for (const [place, given] of (tokens ?? []).entries()) {
    if (!/^[\w.@:-]{1,100}$/.test(given.name))
      refuse("must be 1 to 100 letters, digits and . _ @ : -", "tokens", place, "name");
    if ("sha256" in given ? !/^[0-9a-f]{64}$/i.test(given.sha256) : !isVisible(given.token))
      refuse("must have a token of visible ASCII, or its SHA-256 in hex", "tokens", place);
    if ("token" in given && given.token.length < leastLength)
      refuse(`must have at least ${leastLength} characters: make one with "openssl rand -hex 32"`, "tokens", place);
    const wrong = given.scopes.find(
      (scope) => !/^(read|enqueue|enqueue:[a-z0-9][a-z0-9_.:-]{0,62}|admin)$/.test(scope),
    );
    if (wrong !== undefined || given.scopes.length === 0)
      refuse(
        `must be one or more of read, enqueue, enqueue:<queue>, admin, not ${String(wrong)}`,
        "tokens",
        place,
        "scopes",
      );
    if (given.expiresAt !== undefined && Number.isNaN(given.expiresAt.getTime()))
      refuse("must be a valid Date", "tokens", place, "expiresAt");
  }
}

const isVisible = (token: string) => /^[\x21-\x7e]+$/.test(token);

/**
 * Refuses requests without a valid credential, and sets the caller's access. Without credentials,
 * it allows this machine only.
 */
export function authorizeBy(credentials: Credentials): MiddlewareHandler<Env> {
  const { authorize } = credentials;
  const known = knownTokens(credentials);
  const limiter = new RateLimiter(strangers);
  return async (c, next) => {
    const incoming = incomingOf(c);
    const doubt = isClosed(credentials) ? undefined : doubtOfCaller(incoming);
    const access = !isClosed(credentials)
      ? openAccess(doubt)
      : authorize
        ? accessOf(await authorize(headOf(c)))
        : holderOf(c.req.header("authorization"), known);
    if (access) {
      c.set("access", access);
      return next();
    }
    const waitMs = limiter.take(incoming?.socket?.remoteAddress ?? "unknown");
    if (waitMs > 0) throw tooManyRequests(waitMs);
    throw new RequestRefusedError("UNAUTHORIZED", doubt === undefined ? sendToken : setToken(doubt), {
      headers: { "www-authenticate": `Bearer realm="hark"` },
    });
  };
}

const sendToken = "Send the server's token as Authorization: Bearer <token>.";

const setToken = (doubt: string) =>
  `This server has no token, so it serves only programs on its own machine, and ${doubt}. Give createServer() or ` +
  `startServer() a token, tokens or authorize, and send the token as Authorization: Bearer <token>.`;

function headOf({ req: { raw } }: Context): RequestHead {
  return { method: raw.method, url: raw.url, headers: raw.headers };
}

/** Returns what Node read of the request, if it came through Node. */
function incomingOf(c: Context): IncomingMessage | undefined {
  return ((c.env ?? {}) as { incoming?: IncomingMessage }).incoming;
}

function openAccess(doubt: string | undefined): Access | undefined {
  return doubt === undefined ? new Access("open", ["admin"]) : undefined;
}

/**
 * Accepts only true or a list. Other truthy values are refused, because JavaScript code may return
 * a user or an error.
 */
function accessOf(answer: unknown): Access | undefined {
  if (answer === true) return new Access("authorize", ["admin"]);
  return Array.isArray(answer) && answer.length > 0 ? new Access("authorize", answer as Scope[]) : undefined;
}

interface KnownToken {
  readonly hash: Buffer;
  readonly access: Access;
  readonly expiresAtMs: number;
}

function knownTokens({ token, tokens = [] }: Credentials): KnownToken[] {
  const known = tokens.map((given) => ({
    hash: "sha256" in given ? Buffer.from(given.sha256, "hex") : sha256(given.token),
    access: new Access(given.name, given.scopes),
    expiresAtMs: given.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY,
  }));
  if (token !== undefined)
    known.push({
      hash: sha256(token),
      access: new Access("token", ["admin"]),
      expiresAtMs: Number.POSITIVE_INFINITY,
    });
  return known;
}

/**
 * Returns the access of the token that was sent. The comparison takes the same time for every guess
 * (SEC-12): hashes all have one length, and the sent one is compared with every known one, even
 * after a match.
 */
function holderOf(header: string | undefined, known: readonly KnownToken[]): Access | undefined {
  const [, sent] = /^bearer +([\x21-\x7e]+)$/i.exec(header ?? "") ?? [];
  const hash = sha256(sent ?? "");
  let holder: Access | undefined;
  for (const { hash: expected, access, expiresAtMs } of known) {
    const isSame = timingSafeEqual(hash, expected);
    if (isSame && Date.now() < expiresAtMs) holder = access;
  }
  return sent === undefined ? undefined : holder;
}

const sha256 = (text: string) => createHash("sha256").update(text).digest();
