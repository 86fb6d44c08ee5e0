/**
 * The part of the PostgreSQL protocol (version 3) that the proxy must understand: where messages
 * begin and end, however the bytes are split, and which of a client's messages commit something.
 * See "Message Formats" in PostgreSQL's manual.
 */

/** One message. `body` holds its first bytes, enough to recognise a COMMIT. */
interface Message {
  /** One letter, or "" for a client's first message, which has none. */
  type: string;
  body: Buffer;
}

/** How many bytes of a body are kept. */
const keptBytes = 512;

/** Splits one direction's bytes into messages. */
class Messages {
  #header: Buffer = Buffer.alloc(0);
  #body: Buffer[] = [];
  #kept = 0;
  #left = 0;
  #type: string | undefined;
  /** Whether the next message has a length but no type. */
  #isFirst: boolean;

  constructor(beginsUntyped: boolean) {
    this.#isFirst = beginsUntyped;
  }

  read(bytes: Buffer): Message[] {
    const read: Message[] = [];
    let at = 0;
    while (at < bytes.length) {
      if (this.#type === undefined) {
        const wanted = (this.#isFirst ? 4 : 5) - this.#header.length;
        this.#header = Buffer.concat([this.#header, bytes.subarray(at, at + wanted)]);
        at += wanted;
        if (this.#header.length < (this.#isFirst ? 4 : 5)) return read;
        this.#type = this.#isFirst ? "" : String.fromCharCode(this.#header[0]!);
        this.#left = this.#header.readUInt32BE(this.#isFirst ? 0 : 1) - 4;
      }
      const part = bytes.subarray(at, at + this.#left);
      if (this.#kept < keptBytes) this.#body.push(Buffer.from(part.subarray(0, keptBytes - this.#kept)));
      this.#kept += part.length;
      this.#left -= part.length;
      at += part.length;
      if (this.#left > 0) return read;
      read.push({ type: this.#type, body: Buffer.concat(this.#body) });
      this.#header = Buffer.alloc(0);
      this.#body = [];
      this.#kept = 0;
      this.#type = undefined;
      this.#isFirst = false;
    }
    return read;
  }
}

/** Follows one connection in both directions. */
export class Conversation {
  /** The client's application_name, or undefined until it was sent. */
  applicationName: string | undefined;
  readonly #fromClient = new Messages(true);
  readonly #fromServer = new Messages(false);
  /** As in the server's last ReadyForQuery: idle, in a transaction, or in a failed one. */
  #status = "I";
  #hasExecuted = false;

  /**
   * Returns whether the bytes hold the end of a transaction. The server's next answer then tells
   * the client that it is committed.
   */
  clientSays(bytes: Buffer): boolean {
    let commits = false;
    for (const { type, body } of this.#fromClient.read(bytes)) {
      if (type === "") this.applicationName ??= startupParameter(body, "application_name");
      else if (type === "Q") {
        // A simple query commits if it is COMMIT, or if it is outside a transaction.
        const text = body.toString("latin1");
        commits ||= /^\s*(commit|end)\b/i.test(text) || (this.#status === "I" && !/^\s*(begin|start)\b/i.test(text));
      } else if (type === "E") this.#hasExecuted = true;
      else if (type === "S") {
        commits ||= this.#hasExecuted && this.#status === "I";
        this.#hasExecuted = false;
      }
    }
    return commits;
  }

  serverSays(bytes: Buffer): void {
    for (const { type, body } of this.#fromServer.read(bytes)) {
      if (type === "Z") this.#status = String.fromCharCode(body[0]!);
    }
  }
}

/**
 * A parameter of the startup message: four bytes of version, then names and values, each ended by a
 * zero byte.
 */
function startupParameter(body: Buffer, name: string): string | undefined {
  const words = body.subarray(4).toString("utf8").split("\0");
  const place = words.findIndex((word, index) => index % 2 === 0 && word === name);
  return place === -1 ? undefined : words[place + 1];
}
