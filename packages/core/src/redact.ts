import { storableText } from "./json.ts";
import { isSecretName, maskSecrets } from "./mask.ts";
import { isDatabaseError, quotesData } from "./sqlstate.ts";
import { firstLine } from "./text.ts";

/** Stands for what is not to be seen. */
export const hidden = "[hidden]";

/** Most characters of one text in a log line: an error may quote a page. */
const longestText = 500;

/**
 * What PostgreSQL adds to an error, of which each may quote rows, parameters or the text of a
 * statement.
 */
const rowTexts = ["detail", "where", "hint", "internalQuery", "dataType"] as const;

/**
 * Takes out of an error of PostgreSQL's what may quote a payload or a key, in place, and returns
 * it: `detail` and `where` quote rows and JSON, and messages about data (SQLSTATE class 22) quote
 * the value. What a function raised in its own words stays (SEC-25).
 */
export function withoutRowText(error: unknown): unknown {
  if (!isDatabaseError(error)) return error;
  const shown: Record<string, unknown> = {};
  for (const name of rowTexts) if (name in error) shown[name] = undefined;
  if (quotesData(error) && error.routine !== "exec_stmt_raise") {
    const { message, stack } = error;
    const said = message.replace(/".*"/s, `"${hidden}"`);
    Object.assign(shown, { message: said, ...(stack !== undefined && { stack: stack.replace(message, () => said) }) });
  }
  // Some drivers make parts of their errors read-only, and an application may freeze them.
  const isChanged = Object.entries(shown).every(([name, value]) => {
    const { enumerable = false } = Object.getOwnPropertyDescriptor(error, name) ?? {};
    return Reflect.set(error, name, value) || Reflect.defineProperty(error, name, { value, enumerable });
  });
  if (isChanged) return error;
  const { name, code, severity } = error as Error & { code: unknown; severity?: unknown };
  return Object.assign(new Error((shown.message as string | undefined) ?? error.message), { name, code, severity });
}

/**
 * An error as a log may have it: name, code, the first line of its message and its frames, and so
 * for its causes. No statement, no parameters, no secret that {@link maskSecrets} knows, and
 * nothing that a library has hung on it (SEC-25).
 */
export function loggable(error: unknown, depth = 0): object {
  if (!(error instanceof Error)) return { thrown: typeof error };
  const { name, message, stack = "", cause } = withoutRowText(error) as Error;
  const { code } = error as { code?: unknown };
  return {
    name: oneLine(name),
    ...((typeof code === "string" || typeof code === "number") && { code: loggableFact(code) }),
    // Drizzle's message is the statement with its parameters; the cause says what was wrong with
    // it.
    message: message.startsWith("Failed query") ? "a query failed" : oneLine(message),
    frames: stack
      .split("\n")
      .filter((line) => /^\s+at /.test(line))
      .slice(0, 10)
      .map(loggableText)
      .join("\n"),
    ...(cause !== undefined && depth < 4 && { cause: loggable(cause, depth + 1) }),
  };
}

const oneLine = (text: string) => loggableText(firstLine(text));

/**
 * Most characters of a text that are read for secrets: only the first {@link longestText} are
 * shown.
 */
const longestRead = 8_192;

/** A text as a log may have it: short, and with its secrets masked before it is cut. */
export function loggableText(text: string): string {
  return storableText(maskSecrets(text.slice(0, longestRead)), longestText);
}

/** Facts that no log line has, whatever wrote it, beside those that are named like a secret. */
const hiddenFacts: ReadonlySet<string> = new Set([
  "payload",
  "result",
  "resultjson",
  "payloadjson",
  "connectionstring",
]);

const isHidden = (name: string) => hiddenFacts.has(name.toLowerCase()) || isSecretName(name);

/** Levels of a fact that are looked through; what lies deeper is left out. */
const deepest = 4;

/**
 * The facts of a log line, with errors made {@link loggable}, texts cut and masked, and payloads,
 * results, connection strings and everything that is named like a secret hidden.
 */
export function loggableFacts(facts: object, depth = 0): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(facts).map(([name, value]: [string, unknown]) => [
      name,
      isHidden(name) ? hidden : loggableFact(value, depth + 1),
    ]),
  );
}

/** One fact, or one part of a message, as {@link loggableFacts} has it. */
export function loggableFact(value: unknown, depth = 0): unknown {
  if (value instanceof Error) return loggable(value);
  if (typeof value === "string") return loggableText(value);
  if (value instanceof URL) return loggableText(value.href);
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (depth > deepest) return "...";
  return Array.isArray(value) ? loggableList(value, depth) : loggableFacts(value, depth);
}

/** In a flat list of headers, a name comes before its value. */
function loggableList(list: readonly unknown[], depth: number): unknown[] {
  return list.map((value, place) => {
    const before: unknown = list[place - 1];
    return typeof before === "string" && isSecretName(before) ? hidden : loggableFact(value, depth + 1);
  });
}

/** Leaves of a payload that are looked for in a message. */
const mostLeaves = 1_000;

/**
 * Shortest text that is hidden where it stands without quotes: shorter ones are words of the
 * message too.
 */
const shortestBare = 8;

/** Most characters of a message about a payload. Longer ones mostly quote it. */
const longestMessage = 2_000;

/**
 * A message about a payload with the payload's own values hidden: some schema libraries quote what
 * they got (valibot: `Expected number but received "..."`). A message of more than
 * {@link longestMessage} characters is cut.
 */
export function hideValues(message: string, payload: unknown): string {
  const leaves = leavesOf(payload);
  let text = message.length > longestMessage ? cutMessage(message, leaves) : message;
  for (const leaf of leaves.filter((each) => each.length <= text.length).toSorted(longestFirst)) {
    const escaped = JSON.stringify(leaf).slice(1, -1);
    for (const spelled of escaped === leaf ? [leaf] : [leaf, escaped]) {
      if (!text.includes(spelled)) continue;
      for (const quote of [`"`, "'", "`"]) text = text.replaceAll(quote + spelled + quote, quote + hidden + quote);
      if (spelled.length >= shortestBare) text = text.replaceAll(spelled, hidden);
    }
  }
  return text;
}

const longestFirst = (one: string, other: string) => other.length - one.length;

/** The start of a long message, up to the first value in it: the cut might leave half of one. */
function cutMessage(message: string, leaves: readonly string[]): string {
  let text = message.slice(0, longestMessage);
  for (const leaf of leaves) {
    if (leaf.length < shortestBare) continue;
    const start = leaf.slice(0, shortestBare);
    for (const spelled of [start, JSON.stringify(start).slice(1, -1)]) {
      const at = text.indexOf(spelled);
      if (at !== -1) text = text.slice(0, at) + hidden;
    }
  }
  return `${text}... [cut, ${message.length} characters in all]`;
}

/** The texts and numbers of a value, level by level, at most {@link mostLeaves}. */
function leavesOf(value: unknown): string[] {
  const leaves = new Set<string>();
  let level = [value];
  for (let visited = 0; level.length > 0 && visited < mostLeaves;) {
    const next: unknown[] = [];
    for (const each of level) {
      if ((visited += 1) > mostLeaves) break;
      if (typeof each === "string" && each !== "") leaves.add(each);
      else if (typeof each === "number") leaves.add(String(each));
      else if (typeof each === "object" && each !== null) addItems(next, each);
    }
    level = next;
  }
  return [...leaves];
}

/** Adds the items of a container, as many as will be looked at. */
function addItems(next: unknown[], container: object): void {
  for (const name in container) {
    if (next.length >= mostLeaves) return;
    next.push((container as Record<string, unknown>)[name]);
  }
}
