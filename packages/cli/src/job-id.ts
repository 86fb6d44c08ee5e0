import { UsageError } from "./usage-error.ts";

/** Reads a job's id as given on the command line. Throws {@link UsageError} for other text. */
export function parseJobId(text: string): bigint {
  const id = /^\d{1,19}$/.test(text) ? BigInt(text) : 0n;
  if (id > 0n && id < 2n ** 63n) return id;
  throw new UsageError(`"${text}" is not a job id. Ids are whole numbers; "hark dead list" shows them.`);
}
