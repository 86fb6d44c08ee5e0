import type { Issue } from "./errors/index.ts";
import { limits } from "./json.ts";

/** Most flaws of one value that are listed. They are enough to correct the rest by. */
export const mostIssues = 20;

/**
 * Most properties that are looked at for each byte that is allowed. A property that is undefined
 * takes no byte, but time.
 */
const stepsPerByte = 4;

export interface EncodedJson {
  /** The value as compact JSON. Only complete if there are no issues and it is not too large. */
  readonly text: string;
  /**
   * The size in bytes of the value as PostgreSQL stores it: what `octet_length(payload::text)`
   * returns for jsonb. That has a space after each comma and colon, and all digits of a number: 309
   * for 1e308. If the value is too large, the bytes counted up to there.
   */
  readonly bytes: number;
  readonly isTooLarge: boolean;
  /** What keeps the value from being stored as JSON and read back: at most {@link mostIssues}. */
  readonly issues: readonly Issue[];
}

/**
 * Checks a value and writes it as JSON in one pass, so that each property is read once: a getter
 * cannot show one value to the check and another to PostgreSQL. It stops at `mostBytes`, so that
 * an object that is shared by many parents, level by level, costs no more than a value of that size
 * (SEC-46). Properties that are undefined are left out, as JSON.stringify does. It never calls
 * toJSON.
 */
export function encodeJson(value: unknown, mostBytes: number): EncodedJson {
  const encoder = new Encoder(mostBytes);
  try {
    encoder.write(value);
  } catch (error) {
    if (error !== enough) encoder.refuse(`cannot be read: ${describeThrown(error)}`);
  }
  const { text, bytes, issues } = encoder;
  return { text, bytes, issues, isTooLarge: bytes > mostBytes };
}

/** Thrown to leave the walk: more need not be known. */
const enough = new Error("enough is known of the value");

/** Whatever is thrown by a getter or a proxy. */
function describeThrown(thrown: unknown): string {
  try {
    return thrown instanceof Error ? thrown.message.slice(0, 200) : `it threw a ${typeof thrown}`;
  } catch {
    return "it threw what cannot be read either";
  }
}

class Encoder {
  text = "";
  bytes = 0;
  readonly issues: Issue[] = [];
  /** Where the walk is. Copied only for an issue. */
  readonly #path: (string | number)[] = [];
  readonly #mostBytes: number;
  #steps: number;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
    this.#steps = mostBytes * stepsPerByte;
  }

  refuse(message: string): void {
    this.issues.push({ path: [...this.#path], message });
    if (this.issues.length >= mostIssues) throw enough;
  }

  write(value: unknown): void {
    switch (typeof value) {
      case "string":
        this.#writeText(value, "");
        return;
      case "number":
        if (Number.isFinite(value)) this.#append(String(value), storedDigits(value));
        else this.refuse(`${value} is no JSON number`);
        return;
      case "boolean":
        this.#append(String(value));
        return;
      case "object":
        if (value === null) this.#append("null");
        else this.#writeContainer(value);
        return;
      default:
        this.refuse(`a ${typeof value} is no JSON value`);
    }
  }

  #append(text: string, storedBytes = text.length): void {
    this.text += text;
    this.#count(storedBytes);
  }

  #count(bytes: number): void {
    this.bytes += bytes;
    if (this.bytes > this.#mostBytes) throw enough;
  }

  /** Writes a string. `what` tells a name from a value. */
  #writeText(text: string, what: "" | "its name: "): void {
    if (text.length > this.#mostBytes) this.#count(Buffer.byteLength(text) + 2);
    if (!needsCare.test(text)) {
      this.#append(`"${text}"`);
      return;
    }
    const flaw = stringFlaw(text);
    if (flaw) this.refuse(what + flaw);
    const spelled = JSON.stringify(text);
    this.#append(spelled, Buffer.byteLength(spelled));
  }

  #writeContainer(value: object): void {
    if (this.#path.length >= limits.depth) {
      this.refuse(`nested deeper than ${limits.depth} levels, or in a circle`);
      return;
    }
    if (Array.isArray(value)) this.#writeArray(value);
    else if (isPlain(Object.getPrototypeOf(value))) this.#writeObject(value as Record<string, unknown>);
    else this.refuse(`a ${value.constructor?.name ?? "class instance"} is no JSON value: convert it first`);
  }

  #writeArray(items: readonly unknown[]): void {
    this.#append("[");
    for (let index = 0; index < items.length; index += 1) {
      if (index > 0) this.#append(",", 2);
      this.#path.push(index);
      this.write(items[index]);
      this.#path.pop();
    }
    this.#append("]");
  }

  #writeObject(value: Record<string, unknown>): void {
    this.#append("{");
    const names = Object.keys(value);
    if ((this.#steps -= names.length) < 0) this.#count(this.#mostBytes);
    let isFirst = true;
    for (const name of names) {
      const item = value[name];
      if (item === undefined) continue;
      if (!isFirst) this.#append(",", 2);
      isFirst = false;
      this.#path.push(name);
      this.#writeText(name, "its name: ");
      this.#append(":", 2);
      this.write(item);
      this.#path.pop();
    }
    this.#append("}");
  }
}

/** Whether a string has anything but printable ASCII that JSON leaves as it is. */
const needsCare = /[^ !#-[\]-~]/;

/** How many characters PostgreSQL prints a number with: it has no exponents. */
function storedDigits(value: number): number {
  const text = String(value);
  const exponentAt = text.indexOf("e");
  if (exponentAt === -1) return text.length;
  const exponent = Number(text.slice(exponentAt + 1));
  const sign = value < 0 ? 1 : 0;
  if (exponent > 0) return sign + exponent + 1; // from 1e21 on, with at most 17 digits, so an integer
  const digits = text.slice(sign, exponentAt).replace(".", "").length;
  return sign + 1 - exponent + digits; // "0." and the zeros before the digits
}

/**
 * Whether it is the prototype of plain objects, in this realm or in another such as a vm context.
 */
function isPlain(prototype: object | null): boolean {
  if (prototype === null || prototype === Object.prototype) return true;
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "hasOwnProperty");
}

export function stringFlaw(text: string): string | undefined {
  if (text.includes("\0")) return "has a NUL character, which PostgreSQL cannot store";
  if (!text.isWellFormed()) return "has half a surrogate pair, which is no text";
  return undefined;
}

/**
 * What keeps `value` from being stored as JSON and read back the same: functions, dates, NaN,
 * cycles, and the two kinds of string that PostgreSQL's jsonb refuses, with a NUL or half a
 * surrogate pair (FM-36). Empty when nothing does.
 */
export function jsonIssues(value: unknown): Issue[] {
  const { issues, isTooLarge } = encodeJson(value, limits.payloadBytes);
  return isTooLarge ? [{ path: [], message: `has more than ${limits.payloadBytes} bytes as JSON` }] : [...issues];
}
