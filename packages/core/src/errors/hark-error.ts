import { withJsonIds } from "../json-ids.ts";

/**
 * What every error of Hark has: a stable `code`, the facts as fields, and a message that says what
 * to do next.
 */
export class HarkError extends Error {
  readonly code: string;
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(code: string, facts: Record<string, unknown>, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.facts = withJsonIds(facts);
  }
}

/**
 * Whether it is an error of Hark, with this code if one is given. Known by its fields, whichever
 * copy of Hark made it: a bundle has a copy of its own, and so may a dependency. Never throws,
 * whatever `error` is.
 */
export function isHarkError(error: unknown, code?: string): error is HarkError {
  try {
    if (typeof error !== "object" || error === null) return false;
    const { code: own, facts, message } = error as Partial<HarkError>;
    const isOne = typeof own === "string" && typeof facts === "object" && facts !== null && typeof message === "string";
    return isOne && (code === undefined || own === code);
  } catch {
    return false; // a revoked proxy, or a getter that throws
  }
}

/** One thing wrong with a value, where `path` leads to it, as in `["items", 2, "url"]`. */
export interface Issue {
  readonly message: string;
  readonly path: readonly (string | number)[];
}

/** Most characters of an issue in a message. */
const longestIssue = 500;

/** An issue as one line, with the path to it. */
function issueText({ message, path }: Issue): string {
  const text = path.length ? `${path.join(".")}: ${message}` : message;
  return text.length > longestIssue ? `${text.slice(0, longestIssue)}...` : text;
}

/** The first `most` issues as one line, and how many more there are of `total`. */
export function issuesText(issues: readonly Issue[], most: number, total: number = issues.length): string {
  const listed = issues.slice(0, most);
  const more = total - listed.length;
  return listed.map(issueText).join("; ") + (more > 0 ? `; and ${more} more` : "");
}

/**
 * As a person would read it, cut short. A bad value may be megabytes long, or an array that shares
 * its items, whose text has no end: of objects only the kind is told. Dates are shown. Never
 * throws.
 */
export function quote(value: unknown): string {
  if (typeof value === "string") {
    const spelled = JSON.stringify(value.slice(0, 100));
    return spelled.length > 80 ? `${spelled.slice(0, 80)}...` : spelled;
  }
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return String(value).slice(0, 100);
  try {
    if (value instanceof Date) return String(value);
    return Array.isArray(value) ? "an array" : "an object";
  } catch {
    return "an object"; // a revoked proxy
  }
}
