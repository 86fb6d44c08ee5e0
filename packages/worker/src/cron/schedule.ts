import {
  type Duration,
  InvalidOptionsError,
  type InputOf,
  type Issue,
  type JobDefinition,
  type JobSettings,
  UnknownJobTypeError,
} from "@hark/core";
import { checkName, checkPayload, newJob, quote, type statements, unknownOption } from "@hark/core/internal";
import { parseRule } from "./parse-rule.ts";
import type { ScheduleRule } from "./rule.ts";

export type ScheduleOptions<Job extends JobDefinition = JobDefinition> = JobSettings & {
  /** Name of the schedule in the database. It must be unique. Default: the job type's name. */
  name?: string;
  /** The IANA time zone of a cron pattern. Default: UTC. Not for an interval. */
  tz?: string;
  /**
   * What to do with missed ticks, which no worker fired before the next one or within a minute.
   * "none" skips them, "once" fires the newest, and "all" fires all, at most the newest 100.
   * Default: "once".
   */
  missed?: statements.MissedTicks;
} & (unknown extends InputOf<Job>
    ? { payload?: InputOf<Job> }
    : {
        /**
         * The payload of every job that a tick enqueues. Optional if the job type has no schema.
         */
        payload: InputOf<Job>;
      });

/**
 * A recurring rule with the job that each tick enqueues. It is a frozen value for createWorker({
 * schedules }).
 */
export interface Schedule {
  readonly name: string;
  readonly rule: ScheduleRule;
  readonly missed: statements.MissedTicks;
  readonly job: Readonly<ReturnType<typeof newJob>>;
}

const known = new Set(["name", "tz", "payload", "missed", "priority", "queue", "maxAttempts", "key", "uniqueKey"]);

/**
 * Defines a schedule that enqueues a job again and again. `when` is a cron pattern of five fields,
 * or of six that begin with seconds, or `{ every: "5m" }`, at least one second. It writes nothing:
 * a worker declares its schedules when it starts.
 * @throws InvalidOptionsError with every issue of the rule and the options
 * @throws UnknownJobTypeError, InvalidPayloadError, PayloadTooLargeError, InvalidNameError
 */
export function schedule<Job extends JobDefinition>(
  job: Job,
  when: string | { every: Duration },
  ...[options = {} as ScheduleOptions<Job>]: unknown extends InputOf<Job>
    ? [options?: ScheduleOptions<Job>]
    : [options: ScheduleOptions<Job>]
): Schedule {
  if (typeof job !== "object" || job === null || typeof job.type !== "string") throw new UnknownJobTypeError(job, []);
  const name = checkName("schedule", options.name ?? job.type);
  const issues: Issue[] = Object.keys(options)
    .filter((option) => !known.has(option))
    .map((option) => unknownOption("schedule", option, [...known]));
  const { missed = "once" } = options;
  if (!["none", "once", "all"].includes(missed))
    issues.push({ path: ["missed"], message: `must be none, once or all, not ${quote(missed)}` });
  let rule: ScheduleRule | undefined;
  try {
    rule = parseRule(when, options.tz);
  } catch (error) {
    if (!(error instanceof InvalidOptionsError)) throw error;
    issues.push(...error.issues);
  }
  if (issues.length > 0 || !rule) throw new InvalidOptionsError(`schedule ${name}`, issues);

  const { json, parsed }: { json: string; parsed: unknown } = checkPayload(job, options.payload);
  if (parsed instanceof Promise) {
    parsed.catch(() => {}); // refused in any case
    const message = `${job.type} has an asynchronous schema, but a schedule's payload is checked at once: use a synchronous schema`;
    throw new InvalidOptionsError(`schedule ${name}`, [{ path: ["payload"], message }]);
  }
  return Object.freeze({ name, rule, missed, job: Object.freeze(newJob(job, { json, parsed }, options)) });
}
