import { isBoxedPrimitive } from "node:util/types";
import { stringFlaw } from "./encode-json.ts";
import { limits } from "./json.ts";

/** What can be kept of a value, as JSON text. */
export interface StoredJson {
  /** Undefined if nothing of the value can be kept. */
  readonly text: string | undefined;
  /** The first thing that JSON does not give back as it was. Undefined if it gives back all. */
  readonly lost: string | undefined;
}

/**
 * Returns what `JSON.stringify` makes of a value, with two differences: a bigint becomes text, and
 * the work and the memory are bounded by `mostBytes`, whatever the value is. A value that shares
 * its parts may be exponentially long as text, and a Buffer becomes seven times as long. Nothing is
 * kept of a value that is too long, too deep, in a circle, not storable (FM-36), or that throws
 * while it is read. Never throws.
 */
export function storedJson(value: unknown, mostBytes: number): StoredJson {
  const writer = new Writer(mostBytes);
  try {
    const text = writer.write(value, "", 0);
    if (text === undefined) return { text, lost: `a ${typeof value} is no JSON value` };
    if (Buffer.byteLength(text) > mostBytes) return { text: undefined, lost: tooLong(mostBytes) };
    return { text, lost: writer.lost };
  } catch {
    return { text: undefined, lost: writer.refusal ?? "it throws while it is read" };
  }
}

const tooLong = (mostBytes: number) => `has more than ${mostBytes} bytes as JSON`;

class Writer {
  lost: string | undefined;
  /** Why the work was given up. Undefined if the value itself threw. */
  refusal: string | undefined;
  readonly #mostBytes: number;
  /** A character of the text has at least one byte. */
  #charactersLeft: number;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
    this.#charactersLeft = mostBytes;
  }

  /** Returns the text of a value, or undefined for what JSON leaves out. */
  write(given: unknown, name: string, depth: number): string | undefined {
    const value = this.#converted(given, name);
    switch (typeof value) {
      case "string":
        return this.#text(value, name);
      case "number":
        if (!Number.isFinite(value)) this.#note(name, `${value} is no JSON number`);
        return this.#spent(Number.isFinite(value) ? String(value) : "null");
      case "boolean":
        return this.#spent(String(value));
      case "bigint":
        this.#note(name, "a bigint is kept as text");
        return this.#text(String(value), name);
      case "object":
        break;
      case "undefined":
        this.#spend(1);
        return undefined;
      default:
        this.#note(name, `a ${typeof value} is no JSON value`);
        this.#spend(1);
        return undefined;
    }
    if (value === null) return this.#spent("null");
    if (depth >= limits.depth) this.#refuse(`is nested deeper than ${limits.depth} levels, or in a circle`);
    if (ArrayBuffer.isView(value) && value.byteLength > this.#charactersLeft) this.#refuse(tooLong(this.#mostBytes));
    if (Array.isArray(value)) return this.#array(value, name, depth);
    if (isBoxedPrimitive(value)) return this.write(value.valueOf(), name, depth);
    return this.#object(value, depth);
  }

  #array(items: readonly unknown[], name: string, depth: number): string {
    if (items.length > this.#charactersLeft) this.#refuse(tooLong(this.#mostBytes));
    const texts: string[] = [];
    for (let place = 0; place < items.length; place += 1) {
      const text = this.write(items[place], name, depth + 1);
      if (text === undefined) this.#note(name, `a ${typeof items[place]} in an array is kept as null`);
      texts.push(text ?? "null");
    }
    return `[${texts.join(",")}]`;
  }

  #object(value: object, depth: number): string {
    const texts: string[] = [];
    for (const name of Object.keys(value)) {
      const text = this.write((value as Record<string, unknown>)[name], name, depth + 1);
      if (text !== undefined) texts.push(`${this.#text(name, name)}:${text}`);
    }
    if (texts.length === 0 && !isPlain(value)) this.#note("", `nothing is left of a ${nameOfClass(value)}`);
    return `{${texts.join(",")}}`;
  }

  /** What `toJSON` makes of a value that has one. */
  #converted(value: unknown, name: string): unknown {
    if (typeof value !== "object" || value === null) return value;
    if (Buffer.isBuffer(value) && value.length > this.#charactersLeft) this.#refuse(tooLong(this.#mostBytes));
    const { toJSON } = value as { toJSON?: unknown };
    if (typeof toJSON !== "function") return value;
    this.#note(name, `a ${nameOfClass(value)} is kept as JSON`);
    return toJSON.call(value, name) as unknown;
  }

  #text(text: string, name: string): string {
    this.#spend(text.length);
    const flaw = stringFlaw(text);
    if (flaw) this.#refuse(at(name, flaw));
    return JSON.stringify(text);
  }

  #spent(text: string): string {
    this.#spend(text.length);
    return text;
  }

  #spend(characters: number): void {
    this.#charactersLeft -= characters;
    if (this.#charactersLeft < 0) this.#refuse(tooLong(this.#mostBytes));
  }

  #note(name: string, what: string): void {
    this.lost ??= at(name, what);
  }

  #refuse(why: string): never {
    this.refusal = why;
    throw new Error(why);
  }
}

const at = (name: string, what: string) => (name === "" ? what : `at ${name.slice(0, 80)}: ${what}`);

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function nameOfClass(value: object): string {
  const { name } = (value.constructor ?? {}) as { name?: unknown };
  return typeof name === "string" && name !== "" ? name.slice(0, 80) : "class instance";
}
