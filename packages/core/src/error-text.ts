import { limits, storableText } from "./json.ts";
import { storedJson } from "./stored-json.ts";

/** Most errors that one text describes: causes, and those that an AggregateError holds. */
const mostErrors = 32;

/** Most levels of causes and of errors within errors. */
const deepest = 8;

/** Most bytes of a message: of the error that was thrown, and of each one within it. */
const ownBytes = 12_288;
const innerBytes = 1_024;

/** Most frames of the error that was thrown, and of each one within it. */
const ownFrames = 20;
const innerFrames = 3;

/** Most bytes of a value that is no error. */
const valueBytes = 8_192;

/**
 * What a thrown value says: its name, message, code and stack, and the same for its causes and the
 * errors that it holds. Storable text of at most 16 KiB. The work is bounded, whatever was thrown.
 * Never throws (FM-36, FM-70).
 */
export function errorText(thrown: unknown): string {
  try {
    return storableText(new Description().of(thrown, 0));
  } catch {
    return "an error that cannot be read: its name, message or stack is no text"; // a revoked proxy
  }
}

/** The message of a thrown value, or what else says what went wrong, as text. Never throws. */
export function messageOf(thrown: unknown): string {
  try {
    if (!isErrorLike(thrown)) return valueText(thrown);
    return textAt(thrown, "message") || textAt(thrown, "code") || nameOf(thrown);
  } catch {
    return "an error that cannot be read";
  }
}

class Description {
  #left = mostErrors;
  readonly #seen = new Set<unknown>();

  of(thrown: unknown, depth: number): string {
    if (this.#left <= 0 || depth > deepest) return "more errors, which are left out";
    this.#left -= 1;
    if (typeof thrown !== "object" || thrown === null)
      return typeof thrown === "string" && thrown.trim() !== "" ? thrown : `thrown: ${valueText(thrown)}`;
    if (this.#seen.has(thrown)) return "the same error again";
    this.#seen.add(thrown);
    if (Array.isArray(thrown) && thrown.slice(0, mostErrors).some((each) => isErrorLike(each)))
      return ["thrown: an array of errors", ...this.#each(thrown, depth)].join("\n");
    if (!isErrorLike(thrown)) return `thrown: ${valueText(thrown)}`;
    const lines = [headOf(thrown, depth), ...framesOf(thrown, depth)];
    const { cause, errors, error, suppressed } = innerOf(thrown);
    if (Array.isArray(errors)) lines.push(...this.#each(errors, depth));
    if (suppressed !== undefined) {
      lines.push(`error: ${this.#within(error, depth)}`);
      lines.push(`which suppressed: ${this.#within(suppressed, depth)}`);
    }
    if (cause !== undefined) lines.push(`caused by ${this.#within(cause, depth)}`);
    return lines.join("\n");
  }

  #within(thrown: unknown, depth: number): string {
    try {
      return this.of(thrown, depth + 1);
    } catch {
      return "an error that cannot be read";
    }
  }

  #each(errors: readonly unknown[], depth: number): string[] {
    const lines: string[] = [];
    const { length } = errors;
    for (let place = 0; place < length; place += 1) {
      if (this.#left <= 0) return [...lines, `and ${length - place} more`];
      lines.push(`error ${place + 1} of ${length}: ${this.#within(errors[place], depth)}`);
    }
    return lines;
  }
}

/**
 * Whether it is an error, of this realm or of another such as a vm context, or has a name, a
 * message and a stack as one.
 */
function isErrorLike(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  if (value instanceof Error || Object.prototype.toString.call(value) === "[object Error]") return true;
  return ["name", "message", "stack"].every((name) => typeof read(value, name) === "string");
}

/** The first line, and more lines if the message has them. */
function headOf(error: object, depth: number): string {
  const message = textAt(error, "message");
  const said = storableText(message, depth === 0 ? ownBytes : innerBytes);
  const code = codeOf(error);
  const extra = code === "" || message.includes(code) ? "" : code;
  const head = `${nameOf(error)}: ${said}`;
  if (message !== "") return extra === "" ? head : `${head} (${extra})`;
  if (extra !== "") return head + extra;
  const fields = valueText(error);
  return `${head}${fields === "{}" || fields.startsWith("[object") ? "" : ` ${fields}`}`.trimEnd();
}

/** The error's code, with its kind if PostgreSQL gave it. Hark's own are in their names. */
function codeOf(error: object): string {
  const code = read(error, "code");
  if (typeof code === "string" && code !== "" && read(error, "facts") === undefined) {
    const isSqlstate = /^[0-9A-Z]{5}$/.test(code) && typeof read(error, "severity") === "string";
    return isSqlstate ? `SQLSTATE ${code}` : code.slice(0, 100);
  }
  const isDom = Object.prototype.toString.call(error) === "[object DOMException]"; // its code only repeats its name
  return typeof code === "number" && !isDom ? `code ${code}` : "";
}

function nameOf(error: object): string {
  const name = textAt(error, "name");
  if (name !== "" && (name !== "Error" || textAt(error, "message") !== "")) return name.slice(0, 200);
  const ofClass = read(read(error, "constructor"), "name");
  return typeof ofClass === "string" && ofClass !== "" ? ofClass.slice(0, 200) : "Error";
}

/**
 * Taken from behind the message, since a stack may lack name and message when they were changed
 * after it was taken.
 */
function framesOf(error: object, depth: number): string[] {
  const stack = textAt(error, "stack");
  const start = stack.search(/^[ \t]+at /m);
  if (start < 0) return [];
  const lines = stack.slice(start, start + limits.errorBytes).split("\n");
  return lines.filter((line) => /^[ \t]+at /.test(line)).slice(0, depth === 0 ? ownFrames : innerFrames);
}

function innerOf(error: object) {
  return {
    cause: read(error, "cause"),
    errors: read(error, "errors"),
    error: read(error, "error"),
    suppressed: read(error, "suppressed"),
  };
}

/** A value that is no error, as JSON if that says something. */
function valueText(value: unknown): string {
  if (typeof value === "function") return `a function ${textAt(value, "name")}`.trimEnd();
  if (typeof value === "string") return value.trim() === "" ? "an empty text" : value;
  if (typeof value !== "object" || value === null) return String(value);
  const { text } = storedJson(value, valueBytes);
  if (text !== undefined && text !== "{}") return text;
  const tag = Object.prototype.toString.call(value);
  const facts = ["name", "message", "code", "status", "statusText", "reason", "type", "url"].flatMap((name) => {
    const fact = read(value, name);
    return (typeof fact === "string" && fact !== "") || typeof fact === "number"
      ? [`${name} ${String(fact).slice(0, 500)}`]
      : [];
  });
  if (facts.length === 0 && text !== undefined && tag === "[object Object]") return text;
  return [tag, ...facts].join(", ");
}

/** A property, or undefined if it cannot be read. */
function read(value: unknown, name: string): unknown {
  try {
    return (value as Record<string, unknown>)[name];
  } catch {
    return undefined;
  }
}

function textAt(value: object, name: string): string {
  const text = read(value, name);
  return typeof text === "string" ? text : "";
}
