/** The demo's summary, read as a person would. */
export interface Summary {
  pages: number;
  books: number;
  jobs: number;
  attempts: number;
  retries: number;
  jobsPerSecond: number;
  p50: number;
  p99: number;
  /** By URL: "unrecoverable after 1". */
  deadLetters: Record<string, string>;
}

export function readSummary(output: string): Summary {
  const [, text] = output.split(/^Summary$/m);
  if (text === undefined) throw new Error(`there is no summary in:\n${output}`);
  const figure = (name: string, pattern = "") => {
    const found = new RegExp(`^ {2}${name} +${pattern}([\\d.]+)`, "m").exec(text);
    if (!found) throw new Error(`the summary tells no ${name}:\n${text}`);
    return Number(found[1]);
  };
  const deadLetters = Object.fromEntries(
    [...text.matchAll(/^ {4}(http\S+) {2}(\w+ after \d+): \S/gm)].map(([, url, how]) => [url!, how!]),
  );
  if (Object.keys(deadLetters).length !== figure("dead letters"))
    throw new Error(`not every dead letter is told:\n${text}`);
  return {
    pages: figure("pages"),
    books: figure("books"),
    jobs: figure("jobs"),
    attempts: figure("attempts"),
    retries: figure("retries"),
    jobsPerSecond: figure("rate"),
    p50: figure("start latency", "p50 "),
    p99: figure("start latency", "p50 [\\d.]+ ms, p99 "),
    deadLetters,
  };
}
