import { InvalidOptionsError, type Issue } from "@hark/core";
import { databaseChoiceIssues, type OptionKind, optionIssues, type OptionKinds } from "@hark/core/internal";
import type { AccessToken } from "./middleware/authorize.ts";
import type { RateLimit } from "./middleware/rate-limit.ts";

type KeysOf<Options> = Options extends unknown ? keyof Options : never;

/** Of createServer(), beside those that name the database. */
export const serverOptions = {
  token: "text",
  tokens: "list",
  authorize: "function",
  routes: "list",
  allowedHosts: "texts",
  maxBodyBytes: "any",
  rateLimit: "any",
  logger: "logger",
} as const satisfies Readonly<Record<string, OptionKind>>;

/** Of startServer(), beside those of createServer(). */
export const startOptions = {
  port: "any",
  host: "text",
  drainTimeout: "any",
} as const satisfies Readonly<Record<string, OptionKind>>;

const rateLimit: OptionKinds<RateLimit> = { perSecond: "any", burst: "any" };
const accessToken: Readonly<Record<KeysOf<AccessToken>, OptionKind>> = {
  name: "text",
  scopes: "texts",
  expiresAt: "any",
  token: "text",
  sha256: "text",
};

/** What is looked into, once each option is of the right type. */
interface Forms {
  maxBodyBytes?: unknown;
  rateLimit?: unknown;
  tokens?: readonly AccessToken[] | undefined;
}

/** Most bytes of a body that may be allowed: 256 MiB. */
const mostBodyBytes = 268_435_456;

/**
 * Throws {@link InvalidOptionsError} with every option that is unknown or of the wrong type. One
 * that is ignored may leave a door open: `tokn` would be a server without a credential.
 */
export function checkServerOptions(
  what: "createServer" | "startServer",
  options: object,
  others: Readonly<Record<string, OptionKind>> = {},
): void {
  const issues = databaseChoiceIssues(what, options, { ...serverOptions, ...others });
  if (issues.length === 0) issues.push(...formIssues(what, options));
  if (issues.length > 0) throw new InvalidOptionsError(what, issues);
}

/** Issues within options, once each is of the right type. */
function formIssues(what: string, { maxBodyBytes, rateLimit: limit, tokens = [] }: Forms): Issue[] {
  const issues: Issue[] = [];
  if (maxBodyBytes !== undefined && !isWhole(maxBodyBytes, 1, mostBodyBytes))
    issues.push({ path: ["maxBodyBytes"], message: `must be a whole number from 1 to ${mostBodyBytes}` });
  if (limit !== undefined && limit !== false) {
    issues.push(...within(["rateLimit"], optionIssues(`${what}'s rateLimit`, limit, rateLimit)));
    const { perSecond } = (limit ?? {}) as Partial<RateLimit>;
    if (issues.length === 0 && perSecond === undefined)
      issues.push({ path: ["rateLimit", "perSecond"], message: "is missing" });
  }
  for (const [place, token] of tokens.entries()) {
    const { name, scopes, expiresAt, ...secret } = token ?? {};
    const found = optionIssues(`${what}'s tokens`, token, accessToken);
    if (found.length === 0 && (name === undefined || scopes === undefined || Object.keys(secret).length !== 1))
      found.push({ path: [], message: "must have a name, scopes, and either token or sha256" });
    if (expiresAt !== undefined && !(expiresAt instanceof Date))
      found.push({ path: ["expiresAt"], message: "must be a Date" });
    issues.push(...within(["tokens", place], found));
  }
  return issues;
}

const isWhole = (value: unknown, least: number, most: number) =>
  Number.isInteger(value) && (value as number) >= least && (value as number) <= most;

const within = (outer: (string | number)[], issues: readonly Issue[]): Issue[] =>
  issues.map(({ path, message }) => ({ path: [...outer, ...path], message }));
