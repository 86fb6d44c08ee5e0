import { getStats, type StateCounts } from "@hark/core";
import { command } from "../command.ts";
import { findConnection, withDatabase } from "../connection.ts";
import { exitCodes } from "../exit-codes.ts";

const states = [
  "scheduled",
  "ready",
  "parked",
  "running",
  "completed",
  "dead",
  "cancelled",
] as const satisfies (keyof StateCounts)[];

export const statsCommand = command({
  examples: ["hark stats", "hark stats --json | jq .queues.default.ready"],
  usage: "",
  about:
    "Counts jobs by queue and state. Finished jobs are counted since the schema was made, even after their rows are deleted.",
  words: { least: 0, most: 0 },
  flags: {},
  async run({ values, output }) {
    const stats = await withDatabase(await findConnection(values), getStats);
    const row = (name: string, counts: StateCounts) => [name, ...states.map((state) => counts[state])];
    const queues = Object.entries(stats.queues).toSorted(([one], [other]) => (one < other ? -1 : 1));
    output.table(
      ["queue", ...states],
      [
        ...queues.map(([queue, counts]) => row(queue, counts)),
        ...(queues.length === 1 ? [] : [row("(all)", stats.states)]),
      ],
    );
    if (stats.isEstimated)
      output.line("More than 100000 jobs wait: the numbers of scheduled, ready and parked jobs are estimates.");
    output.document(stats);
    return exitCodes.ok;
  },
});
