import type { MiddlewareHandler } from "hono";
import { RequestRefusedError } from "../errors.ts";

/**
 * A right of a caller. `enqueue:email` is for the queue "email" only. `admin` includes everything,
 * and only `admin` may change existing jobs.
 */
export type Scope = "read" | "enqueue" | `enqueue:${string}` | "admin";

/** The caller of a request, and its scopes. */
export class Access {
  /** The token's name, for limits and logs. Never the token itself. */
  readonly name: string;
  readonly #scopes: ReadonlySet<string>;

  constructor(name: string, scopes: readonly Scope[]) {
    this.name = name;
    this.#scopes = new Set(scopes);
  }

  /** Returns true if the caller has one of the scopes, or admin. */
  may(...scopes: readonly Scope[]): boolean {
    return this.#scopes.has("admin") || scopes.some((scope) => this.#scopes.has(scope));
  }

  /** Throws SCOPE_MISSING unless the caller may enqueue into the queue. */
  checkEnqueue(queue: string): void {
    if (!this.may("enqueue", `enqueue:${queue}`)) refuseScope(`enqueue:${queue}`);
  }

  /**
   * True if the caller may enqueue into at least one queue. Which queue a request is for stands in
   * its body.
   */
  get mayEnqueue(): boolean {
    return this.may("enqueue") || [...this.#scopes].some((scope) => scope.startsWith("enqueue:"));
  }
}

/** The variables that the middleware sets. */
export interface Env {
  Variables: { access: Access };
}

/** Refuses callers without the scope, before the body is read. */
export function needs(scope: "read" | "enqueue" | "admin"): MiddlewareHandler<Env> {
  return async (c, next) => {
    const access = c.get("access");
    if (!(scope === "enqueue" ? access.mayEnqueue : access.may(scope))) refuseScope(scope);
    return next();
  };
}

function refuseScope(scope: Scope): never {
  throw new RequestRefusedError("SCOPE_MISSING", `This token lacks the scope "${scope}".`);
}
