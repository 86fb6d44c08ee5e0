import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { type JobDefinition, UnknownJobTypeError } from "@hark/core";
import { messageOf } from "@hark/core/internal";
import { isAtLeast, leastNodeForTypeScript } from "@hark/core/node-version";
import type { Handler, Schedule, WorkerOptions } from "@hark/worker";
import { UsageError } from "./usage-error.ts";

/** The exports of a module of the user, and its path as the user gave it. */
export interface UserModule {
  readonly file: string;
  readonly exports: Readonly<Record<string, unknown>>;
}

/**
 * Imports a module by a path relative to the current folder. If the default export is an object,
 * its properties count as exports too, because CommonJS modules arrive that way.
 * @throws UsageError with one line that names the file
 */
export async function loadModule(file: string): Promise<UserModule> {
  const path = resolve(file);
  const found = await stat(path).catch(() => undefined);
  if (!found) throw new UsageError(`There is no file ${file} (looked for ${path}).`);
  if (!found.isFile()) throw new UsageError(`${file} is not a file. Name the module that exports your handlers.`);
  checkTypeScript(file);

  let imported: Record<string, unknown>;
  try {
    imported = (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  } catch (error) {
    throw new UsageError(`${file} could not be loaded: ${reasonOf(error)}`);
  }
  const { default: main, ...named } = imported;
  return { file, exports: { ...(isObject(main) && main), ...named } };
}

function checkTypeScript(file: string): void {
  if (/\.[jt]sx$/.test(file))
    throw new UsageError(`${file} has JSX, which Node does not run. Compile it, and name the result.`);
  if (!/\.[cm]?ts$/.test(file)) return;
  const { features, versions } = process;
  if ((features as { typescript?: unknown }).typescript) return;
  const why = isAtLeast(versions.node, leastNodeForTypeScript)
    ? "type stripping is switched off"
    : `this is Node ${versions.node}`;
  throw new UsageError(
    `${file} is TypeScript, which needs Node ${leastNodeForTypeScript} or newer, and ${why}. Update Node, compile the file and name the ` +
      `result, or set NODE_OPTIONS=--experimental-strip-types.`,
  );
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return `it threw ${messageOf(error)}`;
  const code = "code" in error ? error.code : undefined;
  const advice =
    code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX"
      ? ". Node only strips types: enums, namespaces and parameter properties must be compiled"
      : "";
  return `${error.name === "Error" ? "" : `${error.name}: `}${error.message}${advice}.`;
}

/**
 * Returns the `handlers` of a module. Throws {@link UsageError} unless implement() made all of
 * them.
 */
export function handlersOf({ file, exports }: UserModule): readonly Handler[] {
  const { handlers } = exports;
  const how = `export const handlers = [implement(job, async ({ payload }) => { ... })];`;
  if (handlers === undefined) {
    const names = Object.keys(exports);
    throw new UsageError(
      `${file} exports no handlers: add "${how}". It exports ${names.length ? names.join(", ") : "nothing"}.`,
    );
  }
  if (!Array.isArray(handlers))
    throw new UsageError(`The handlers that ${file} exports are not an array: write "${how}".`);
  if (handlers.length === 0)
    throw new UsageError(`The handlers that ${file} exports are an empty array: write "${how}".`);
  for (const [place, handler] of handlers.entries()) {
    if (!isHandler(handler)) {
      throw new UsageError(`handlers[${place}] of ${file} was not made by implement(job, handler).`);
    }
  }
  return handlers as Handler[];
}

/**
 * Returns the `queues`, `schedules` and `workerOptions` that a module may also export. createWorker
 * checks their contents.
 */
export function settingsOf({ file, exports }: UserModule): Partial<WorkerOptions> {
  const { queues, schedules, workerOptions = {} } = exports;
  if (!isObject(workerOptions)) throw new UsageError(`The workerOptions that ${file} exports are not an object.`);
  if (queues !== undefined && typeof queues !== "number" && !isObject(queues)) {
    throw new UsageError(`The queues that ${file} exports are neither a number nor an object such as { email: 10 }.`);
  }
  if (schedules !== undefined && !(Array.isArray(schedules) && schedules.every(isSchedule)))
    throw new UsageError(
      `The schedules that ${file} exports are not an array of schedules made by schedule(job, when, options).`,
    );
  return {
    ...workerOptions,
    ...(schedules !== undefined && { schedules }),
    ...(queues !== undefined && { queues: queues as Record<string, number> }),
  };
}

/**
 * Returns the job type named `type` from a module's exports: definitions, lists of them, and job
 * types of handlers.
 */
export function findJob({ exports }: UserModule, type: string): JobDefinition {
  const jobs = new Map<string, JobDefinition>();
  const add = (value: unknown) => {
    if (isJob(value)) jobs.set(value.type, value);
    else if (isHandler(value)) jobs.set(value.job.type, value.job);
  };
  for (const value of Object.values(exports)) {
    add(value);
    if (Array.isArray(value)) value.forEach(add);
    else if (isObject(value) && !isJob(value)) Object.values(value).forEach(add);
  }
  const job = jobs.get(type);
  if (!job) throw new UnknownJobTypeError(type, [...jobs.keys()]);
  return job;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

// These test the shape, not the class: the module may bring another copy of these packages.
function isJob(value: unknown): value is JobDefinition {
  return (
    isObject(value) &&
    typeof value.type === "string" &&
    typeof value.queue === "string" &&
    typeof value.maxAttempts === "number"
  );
}

function isHandler(value: unknown): value is Handler {
  return isObject(value) && typeof value.run === "function" && isJob(value.job);
}

function isSchedule(value: unknown): value is Schedule {
  return isObject(value) && typeof value.name === "string" && isObject(value.rule) && isObject(value.job);
}
