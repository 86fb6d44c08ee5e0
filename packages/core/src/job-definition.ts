import type { StandardSchemaV1 } from "@standard-schema/spec";
import { type Backoff, type BackoffOptions, parseBackoff } from "./backoff.ts";
import { checkOptions, type OptionKinds } from "./check-options.ts";
import { type Duration, parseDuration } from "./clock.ts";
import { encodeJson, mostIssues } from "./encode-json.ts";
import { quote } from "./errors/hark-error.ts";
import { InvalidOptionsError, InvalidPayloadError, type Issue, PayloadTooLargeError } from "./errors/index.ts";
import { limits } from "./json.ts";
import { checkName } from "./names.ts";
import { hideValues } from "./redact.ts";

/**
 * A kind of work as a value that producer and worker both import: no handler, no connection, no
 * registry.
 */
export interface JobDefinition<Type extends string = string, Input = any, Payload = any, Result = any> {
  readonly type: Type;
  readonly queue: string;
  readonly priority: number;
  readonly maxAttempts: number;
  readonly backoff: Backoff;
  /** How long one attempt may run, in ms; undefined means as long as its worker lives. */
  readonly timeoutMs: number | undefined;
  readonly key: ((payload: Payload) => string | undefined) | undefined;
  readonly uniqueKey: ((payload: Payload) => string | undefined) | undefined;
  readonly payload: StandardSchemaV1<Input, Payload> | undefined;
  readonly result: StandardSchemaV1<any, Result> | undefined;
}

export type InputOf<Job> = Job extends JobDefinition<string, infer Input, any, any> ? Input : never;
export type PayloadOf<Job> = Job extends JobDefinition<string, any, infer Payload, any> ? Payload : never;
export type ResultOf<Job> = Job extends JobDefinition<string, any, any, infer Result> ? Result : never;

export interface JobOptions<
  PayloadSchema extends StandardSchemaV1 | undefined,
  ResultSchema extends StandardSchemaV1 | undefined,
> {
  /**
   * Checked when a job is enqueued and again before it runs: any Standard Schema (zod, valibot,
   * arktype, ...).
   */
  payload?: PayloadSchema;
  /**
   * Checks what the handler returns, and what it makes of that is kept. What does not fit is a dead
   * letter. Without a schema every job is completed, with what JSON makes of the result.
   */
  result?: ResultSchema;
  /** The queue it runs in; "default" if not given. */
  queue?: string;
  /** Higher runs first; 0 if not given. */
  priority?: number;
  /** How long one attempt may run before it is aborted; without end if not given. */
  timeout?: Duration;
  /**
   * How many attempts there are, the first included (3 if not given), and how long to wait between
   * them.
   */
  retry?: { attempts?: number; backoff?: BackoffOptions };
  /**
   * Jobs of one queue with the same key never run at the same time; they wait parked, without being
   * tried.
   */
  key?: (payload: OutputOf<PayloadSchema>) => string | undefined;
  /**
   * At most one unfinished job of a queue has this key; enqueueing another returns the first one.
   */
  uniqueKey?: (payload: OutputOf<PayloadSchema>) => string | undefined;
}

type SchemaInput<Schema> = Schema extends StandardSchemaV1 ? StandardSchemaV1.InferInput<Schema> : unknown;
type OutputOf<Schema> = Schema extends StandardSchemaV1 ? StandardSchemaV1.InferOutput<Schema> : unknown;

/** Values that JSON cannot carry there and back. */
type NotJson =
  | Date
  | bigint
  | symbol
  | Map<any, any>
  | Set<any>
  | RegExp
  | ArrayBufferView
  | ((...args: any[]) => unknown);
/**
 * True if a value of type T may hold something that is not JSON; `any` and `unknown` are left to
 * the run-time check.
 */
type HasNotJson<T> = 0 extends 1 & T
  ? false
  : unknown extends T
    ? false
    : [Extract<T, NotJson>] extends [never]
      ? T extends object
        ? true extends { [Name in keyof T]-?: HasNotJson<T[Name]> }[keyof T]
          ? true
          : false
        : false
      : true;
type MustBeJson<Schema> =
  true extends HasNotJson<SchemaInput<Schema>>
    ? { payload: "the payload's input type must be JSON: no Date, bigint, Map, Set or function" }
    : unknown;

const jobOptions: OptionKinds<JobOptions<undefined, undefined>> = {
  payload: "schema",
  result: "schema",
  queue: "any",
  priority: "any",
  timeout: "any",
  retry: "object",
  key: "function",
  uniqueKey: "function",
};
const retryOptions: OptionKinds<NonNullable<JobOptions<undefined, undefined>["retry"]>> = {
  attempts: "any",
  backoff: "object",
};

/**
 * Defines a job type. Returns a frozen value that {@link JobDefinition} describes.
 * @throws InvalidNameError for a type or queue name of the wrong form
 * @throws InvalidOptionsError for an unknown option, a schema that is none, or a priority,
 * attempts, timeout or backoff out of range
 */
export function defineJob<
  const Type extends string,
  PayloadSchema extends StandardSchemaV1 | undefined = undefined,
  ResultSchema extends StandardSchemaV1 | undefined = undefined,
>(
  type: Type,
  options: JobOptions<PayloadSchema, ResultSchema> & MustBeJson<PayloadSchema> = {} as never,
): JobDefinition<Type, SchemaInput<PayloadSchema>, OutputOf<PayloadSchema>, OutputOf<ResultSchema>> {
  checkName("job type", type);
  checkOptions("defineJob", options, jobOptions);
  if (options.retry !== undefined) checkOptions("defineJob's retry", options.retry, retryOptions);
  return Object.freeze({
    type,
    queue: checkName("queue", options.queue === undefined ? "default" : options.queue),
    priority: checkPriority(options.priority === undefined ? 0 : options.priority),
    maxAttempts: checkMaxAttempts(options.retry?.attempts === undefined ? 3 : options.retry.attempts),
    backoff: parseBackoff(options.retry?.backoff),
    timeoutMs: options.timeout === undefined ? undefined : parseDuration("timeout", options.timeout),
    key: options.key,
    uniqueKey: options.uniqueKey,
    payload: options.payload,
    result: options.result,
  }) as never;
}

/**
 * Returns a priority; throws {@link InvalidOptionsError} unless it is an integer that PostgreSQL's
 * `integer` holds.
 */
export function checkPriority(priority: unknown): number {
  return checkInteger("priority", priority, -2_147_483_648, 2_147_483_647);
}

/**
 * Returns the most attempts; throws {@link InvalidOptionsError} unless it is an integer from 1 to
 * 1000.
 */
export function checkMaxAttempts(attempts: unknown): number {
  return checkInteger("attempts", attempts, 1, limits.maxAttempts);
}

function checkInteger(field: string, value: unknown, least: number, most: number): number {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return value as number;
  throw new InvalidOptionsError(`job option ${field}`, [
    { path: [field], message: `must be an integer from ${least} to ${most}, not ${quote(value)}` },
  ]);
}

/**
 * Returns what a worker hands to the handler for a stored payload: what the schema makes of it.
 * Synchronous schemas answer without a promise, which enqueueing in bulk is glad of. JSON has no
 * undefined, so a payload of undefined is stored as null. A null that the schema refuses is
 * therefore tried as undefined: that is how `.optional()`, `.default()` and `z.void()` get theirs
 * (docs/decisions/0035).
 * @param stored JSON as it comes back from the database
 * @throws InvalidPayloadError with the paths of up to 20 things that are wrong
 */
export function parsePayload<Payload>(
  job: JobDefinition<string, any, Payload, any>,
  stored: unknown,
): Payload | Promise<Payload> {
  const { payload: schema, type } = job;
  if (!schema) return stored as Payload;
  const validate = (value: unknown) => schema["~standard"].validate(value);
  const unwrap = (answer: StandardSchemaV1.Result<Payload>) => unwrapped(type, stored, answer);
  return after(validate(stored), (answer) => {
    if (stored !== null || !(answer as typeof answer | undefined)?.issues) return unwrap(answer);
    return after(validate(undefined), (other) => unwrap(other.issues ? answer : other));
  });
}

/** Goes on with an answer, at once or when it comes. */
function after<Answer, Next>(
  answer: Answer | Promise<Answer>,
  goOn: (answer: Answer) => Next | Promise<Next>,
): Next | Promise<Next> {
  const isPending = typeof (answer as PromiseLike<Answer> | undefined)?.then === "function";
  return isPending ? Promise.resolve(answer).then(goOn) : goOn(answer as Answer);
}

function unwrapped<Payload>(type: string, input: unknown, answer: StandardSchemaV1.Result<Payload>): Payload {
  // Schemas may be hand-written: what they answer is not trusted to be of the form that it should.
  const isAnswer: boolean = typeof answer === "object" && answer !== null;
  const issues: unknown = isAnswer ? answer.issues : [{ message: "its schema answers neither a value nor issues" }];
  if (!issues) return (answer as StandardSchemaV1.SuccessResult<Payload>).value;
  if (!Array.isArray(issues)) throw new InvalidPayloadError(type, [plainIssue({}, input)]);
  const shown = issues.slice(0, mostIssues).map((issue) => plainIssue(issue as StandardSchemaV1.Issue | null, input));
  throw new InvalidPayloadError(type, shown, issues.length);
}

/**
 * A Standard Schema issue with its path flattened to names and indexes, and without the values that
 * it quotes.
 */
function plainIssue(issue: Partial<StandardSchemaV1.Issue> | null, input: unknown): Issue {
  const { message, path } = issue ?? {};
  return {
    message: hideValues(typeof message === "string" && message !== "" ? message : "its schema refuses it", input),
    path: (Array.isArray(path) ? (path as unknown[]) : []).map((step) => {
      const key: unknown = typeof step === "object" && step !== null ? (step as { key?: unknown }).key : step;
      return typeof key === "number" ? key : String(key);
    }),
  };
}

/**
 * Returns the payload as JSON text, untransformed.
 * @throws InvalidPayloadError for values that JSON or PostgreSQL cannot hold
 * @throws PayloadTooLargeError above 256 KiB as PostgreSQL stores it
 */
export function payloadJson(type: string, input: unknown): string {
  const { text, bytes, isTooLarge, issues } = encodeJson(input ?? null, limits.payloadBytes);
  if (issues.length) throw new InvalidPayloadError(type, issues, issues.length);
  if (isTooLarge) throw new PayloadTooLargeError(type, bytes, limits.payloadBytes);
  return text;
}

/**
 * Checks a payload for enqueueing. Returns it as JSON, and what a worker will make of that JSON:
 * both sides check the same value. Without a schema and keys nobody asks for `parsed`, and it is
 * undefined.
 * @throws InvalidPayloadError, PayloadTooLargeError
 */
export function checkPayload<Payload>(
  job: JobDefinition<string, any, Payload, any>,
  input: unknown,
): { json: string; parsed: Payload | undefined | Promise<Payload> } {
  const json = payloadJson(job.type, input);
  const isAsked = job.payload !== undefined || job.key !== undefined || job.uniqueKey !== undefined;
  return { json, parsed: isAsked ? parsePayload(job, JSON.parse(json)) : undefined };
}
