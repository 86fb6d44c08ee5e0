import { text } from "node:stream/consumers";
import { defineJob, type Duration, type JobDefinition } from "@hark/core";
import { checkPayload } from "@hark/core/internal";
import { createProducer, type EnqueuedJob, type EnqueueOptions } from "@hark/producer";
import { command, type Values } from "../command.ts";
import { findConnection, withDatabase } from "../connection.ts";
import { exitCodes } from "../exit-codes.ts";
import { integerFlag } from "../integer-flag.ts";
import { readJson } from "../read-json.ts";
import { UsageError } from "../usage-error.ts";
import { findJob, loadModule } from "../user-module.ts";

/**
 * Jobs inserted by one statement. The round trip then costs little, and the statement stays within
 * its deadline.
 */
const batchSize = 1_000;

const flags = {
  queue: { type: "string", value: "<name>", help: `the queue; default: the job type's own, or "default"` },
  priority: { type: "string", value: "<n>", help: "an integer, higher runs first; default 0" },
  delay: { type: "string", value: "<time>", help: `earliest start from now, as in "500ms", "30s", "5m", "1h", "7d"` },
  "run-at": { type: "string", value: "<time>", help: "earliest start, as in 2030-01-31T09:00:00Z" },
  key: { type: "string", value: "<key>", help: "jobs with the same key never run at the same time" },
  "unique-key": { type: "string", value: "<key>", help: "at most one unfinished job can have this key" },
  attempts: { type: "string", value: "<n>", help: "the most attempts; default 3" },
  module: { type: "string", value: "<file>", help: "check the payload with the job type that this module exports" },
} as const;

export const enqueueCommand = command({
  examples: [`hark enqueue email.welcome '{"userId":"u1"}' --delay 5m`, "hark enqueue email.welcome - < users.jsonl"],
  usage: "<type> <json|->",
  about: `Enqueues a job and prints its id. "-" reads payloads from stdin, one JSON value per line, and enqueues all of them or none.
If an unfinished job already has the unique key, the command prints that job's id. Without --module, the payload is not checked, and
the job type's own queue, attempts, priority and keys do not apply: they are defined in the module.`,
  words: { least: 2, most: 2 },
  flags,
  async run({ values, words: [type = "", payload = ""], output }) {
    const options = enqueueOptions(values);
    const connection = await findConnection(values);
    const job: JobDefinition =
      values.module === undefined ? defineJob(type) : findJob(await loadModule(values.module), type);
    const isMany = payload === "-";
    const payloads = isMany ? await readLines(job) : [readJson(payload, "The payload")];

    const enqueued = await withDatabase(connection, (db) =>
      isMany
        ? db.transaction(async (tx) => {
            const enqueuer = createProducer({ database: db }).in(tx);
            const answers: EnqueuedJob[] = [];
            for (let start = 0; start < payloads.length; start += batchSize) {
              const batch = payloads.slice(start, start + batchSize);
              answers.push(...(await enqueuer.enqueueMany(batch.map((each) => ({ job, payload: each, options })))));
            }
            return answers;
          })
        : createProducer({ database: db }).enqueueMany([{ job, payload: payloads[0], options }]),
    );

    for (const { id } of enqueued) output.line(String(id));
    output.document({ jobs: enqueued });
    const duplicates = enqueued.filter(({ status }) => status === "duplicate").length;
    if (duplicates > 0)
      output.note(`${duplicates} of ${enqueued.length} not enqueued: an unfinished job has the unique key`);
    return exitCodes.ok;
  },
});

/**
 * Checks every line before any job is written, so that the error can name the number of an invalid
 * line.
 */
async function readLines(job: JobDefinition): Promise<unknown[]> {
  if (process.stdin.isTTY) process.stderr.write("Reading payloads, one JSON value per line. End with Ctrl-D.\n");
  const lines = (await text(process.stdin)).split("\n");
  const payloads: unknown[] = [];
  for (const [place, line] of lines.entries()) {
    if (line.trim() === "") continue;
    const payload = readJson(line, `Line ${place + 1}`);
    try {
      await checkPayload(job, payload).parsed;
    } catch (error) {
      throw new UsageError(
        `Line ${place + 1}: ${error instanceof Error ? error.message : String(error)} No job was written.`,
      );
    }
    payloads.push(payload);
  }
  return payloads;
}

function enqueueOptions(values: Values<typeof flags>): EnqueueOptions {
  const { queue, delay, key } = values;
  const runAt = values["run-at"];
  const uniqueKey = values["unique-key"];
  if (delay !== undefined && runAt !== undefined) throw new UsageError("Give either --delay or --run-at, not both.");
  const priority = integerFlag("priority", values.priority, { least: -2_147_483_648, most: 2_147_483_647 });
  const maxAttempts = integerFlag("attempts", values.attempts, { least: 1, most: 1_000 });
  return {
    ...(queue !== undefined && { queue }),
    ...(priority !== undefined && { priority }),
    ...(delay !== undefined && { delay: delay as Duration }),
    ...(runAt !== undefined && { runAt: readMoment(runAt) }),
    ...(key !== undefined && { key }),
    ...(uniqueKey !== undefined && { uniqueKey }),
    ...(maxAttempts !== undefined && { maxAttempts }),
  };
}

/**
 * Needs a time zone, since a local time would differ from machine to machine, and a day that
 * exists.
 */
function readMoment(given: string): Date {
  const [, year, month, day] =
    /^(\d{4})-(\d\d)-(\d\d)T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)$/.exec(given) ?? [];
  const moment = new Date(given);
  const isDay = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day))).getUTCDate() === Number(day);
  if (isDay && !Number.isNaN(moment.getTime())) return moment;
  throw new UsageError(
    `--run-at must be a time with its zone, as in 2030-01-31T09:00:00Z or 2030-01-31T09:00+01:00, not "${given}".`,
  );
}
