/** The number of times, and their percentiles in ms. 0 if there are none. */
export interface Spread {
  count: number;
  p50: number;
  p99: number;
}

/** The demo's summary, read from its output. */
export interface Summary {
  pages: number;
  books: number;
  jobs: number;
  attempts: number;
  retries: number;
  jobsPerSecond: number;
  startLatency: Spread;
  slotWait: Spread;
  turnWait: Spread;
  /** By URL: "unrecoverable after 1". */
  deadLetters: Record<string, string>;
}

export function readSummary(output: string): Summary {
  const [, text] = output.split(/^Summary$/m);
  if (text === undefined) throw new Error(`there is no summary in:\n${output}`);
  const figure = (name: string, pattern = "") => {
    const found = new RegExp(`^ {2}${name} +${pattern}([\\d.]+)`, "m").exec(text);
    if (!found) throw new Error(`the summary has no ${name}:\n${text}`);
    return Number(found[1]);
  };
  const spread = (name: string): Spread => {
    const [, p50, p99, count] =
      new RegExp(`^ {2}${name} +(?:p50 ([\\d.]+) ms, p99 ([\\d.]+) ms|none) \\((\\d+) `, "m").exec(text) ?? [];
    if (count === undefined) throw new Error(`the summary has no ${name}:\n${text}`);
    return { count: Number(count), p50: Number(p50 ?? 0), p99: Number(p99 ?? 0) };
  };
  const deadLetters = Object.fromEntries(
    [...text.matchAll(/^ {4}(http\S+) {2}(\w+ after \d+): \S/gm)].map(([, url, how]) => [url!, how!]),
  );
  if (Object.keys(deadLetters).length !== figure("dead letters"))
    throw new Error(`not every dead letter is listed:\n${text}`);
  return {
    pages: figure("pages"),
    books: figure("books"),
    jobs: figure("jobs"),
    attempts: figure("attempts"),
    retries: figure("retries"),
    jobsPerSecond: figure("rate"),
    startLatency: spread("start latency"),
    slotWait: spread("wait for a slot"),
    turnWait: spread("wait for a turn"),
    deadLetters,
  };
}
