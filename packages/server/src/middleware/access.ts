import type { MiddlewareHandler } from "hono";
import { RequestRefusedError } from "../errors.ts";

/**
 * What a caller may do. `enqueue:email` is for the queue "email" only; `admin` may do everything,
 * and alone changes what is there already.
 */
export type Scope = "read" | "enqueue" | `enqueue:${string}` | "admin";

/** Who calls, and what they may do. */
export class Access {
  /** For limits and logs: the token's name, never the token. */
  readonly name: string;
  readonly #scopes: ReadonlySet<string>;

  constructor(name: string, scopes: readonly Scope[]) {
    this.name = name;
    this.#scopes = new Set(scopes);
  }

  /** True if one of the scopes is there, or admin. */
  may(...scopes: readonly Scope[]): boolean {
    return this.#scopes.has("admin") || scopes.some((scope) => this.#scopes.has(scope));
  }

  /** Throws SCOPE_MISSING unless a job may be put into the queue. */
  checkEnqueue(queue: string): void {
    if (!this.may("enqueue", `enqueue:${queue}`)) refuseScope(`enqueue:${queue}`);
  }

  /** True if some queue or other may be enqueued into: which one, only the body tells. */
  get mayEnqueue(): boolean {
    return this.may("enqueue") || [...this.#scopes].some((scope) => scope.startsWith("enqueue:"));
  }
}

/** What the middleware hands down. */
export interface Env {
  Variables: { access: Access };
}

/** Refuses callers without the scope, before anything of the request is read. */
export function needs(scope: "read" | "enqueue" | "admin"): MiddlewareHandler<Env> {
  return async (c, next) => {
    const access = c.get("access");
    if (!(scope === "enqueue" ? access.mayEnqueue : access.may(scope))) refuseScope(scope);
    return next();
  };
}

function refuseScope(scope: Scope): never {
  throw new RequestRefusedError("SCOPE_MISSING", `This token may not do that: it lacks the scope "${scope}".`);
}
