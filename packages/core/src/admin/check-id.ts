import { quote } from "../errors/hark-error.ts";
import { InvalidOptionsError } from "../errors/index.ts";

const largestId = 2n ** 63n - 1n;

/**
 * Returns a job's id as it is asked for. Takes text and whole numbers too, since JavaScript code
 * has ids from JSON.
 * @throws InvalidOptionsError for what is no id: "there is no such job" would be the wrong answer
 */
export function checkId(what: string, id: unknown): bigint {
  const isText = typeof id === "string" && /^\d{1,19}$/.test(id);
  if (typeof id === "bigint" || isText || Number.isSafeInteger(id)) {
    const number = BigInt(id as bigint | string | number);
    if (number >= 0n && number <= largestId) return number;
  }
  throw new InvalidOptionsError(what, [{ path: ["id"], message: `must be a job's id such as 7n, not ${quote(id)}` }]);
}
