import {
  type Duration,
  InvalidOptionsError,
  type InputOf,
  type Issue,
  type JobDefinition,
  type JobSettings,
  UnknownJobTypeError,
} from "@hark/core";
import { checkName, newJob, parsePayload, payloadJson, type statements } from "@hark/core/internal";
import { parseRule } from "./parse-rule.ts";
import type { ScheduleRule } from "./rule.ts";

export type ScheduleOptions<Job extends JobDefinition = JobDefinition> = JobSettings & {
  /**
   * What the schedule is known by in the database, one of a kind; the job type's name if not given.
   */
  name?: string;
  /** The IANA zone whose clock a cron pattern is about; UTC if not given. Not for an interval. */
  tz?: string;
  /**
   * Ticks that nobody fired before the next one came, or within a minute: "none" of them runs,
   * "once" (if not given) stands the newest for all, or "all" run, of which the newest 100 at most.
   */
  missed?: statements.MissedTicks;
} & (unknown extends InputOf<Job>
    ? { payload?: InputOf<Job> }
    : {
        /**
         * The payload of every job that a tick enqueues. It may be left out where the job type has
         * no schema.
         */
        payload: InputOf<Job>;
      });

/**
 * A recurring rule with the job that each tick enqueues: a frozen value, for createWorker({
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
 * Says that a job is to be enqueued again and again: by a cron pattern of five fields, or six that
 * begin with seconds, or `{ every: "5m" }`, from one second on. Writes nothing: a worker that is
 * given it declares it when it starts.
 * @throws InvalidOptionsError with everything that is wrong with the rule and the options
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
    .map((option) => ({ path: [option], message: `is no option of schedule: known are ${[...known].join(", ")}` }));
  const { missed = "once" } = options;
  if (!["none", "once", "all"].includes(missed))
    issues.push({ path: ["missed"], message: `must be none, once or all, not ${missed}` });
  let rule: ScheduleRule | undefined;
  try {
    rule = parseRule(when, options.tz);
  } catch (error) {
    if (!(error instanceof InvalidOptionsError)) throw error;
    issues.push(...error.issues);
  }
  if (issues.length > 0 || !rule) throw new InvalidOptionsError(`schedule ${name}`, issues);

  const json = payloadJson(job.type, options.payload);
  const parsed: unknown = parsePayload(job, options.payload);
  if (parsed instanceof Promise) {
    parsed.catch(() => {}); // refused whatever it says
    const message = `${job.type} has an asynchronous schema, and a schedule's payload is checked at once: give it a synchronous one`;
    throw new InvalidOptionsError(`schedule ${name}`, [{ path: ["payload"], message }]);
  }
  return Object.freeze({ name, rule, missed, job: Object.freeze(newJob(job, { json, parsed }, options)) });
}
