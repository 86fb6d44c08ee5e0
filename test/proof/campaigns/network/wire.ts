/**
 * The PostgreSQL protocol (version 3) as far as a proxy must understand it: where messages begin and end, however the bytes are
 * cut, and which of a client's messages make something durable. See "Message Formats" in PostgreSQL's manual.
 */

/** One message; `body` holds its first bytes, enough to tell a COMMIT. */
interface Message {
  /** One letter; "" for a client's first message, which has none. */
  type: string;
  body: Buffer;
}

/** Most bytes of a body that are kept. */
const keptBytes = 512;

/** Cuts one direction's bytes into messages. */
class Messages {
  #header: Buffer = Buffer.alloc(0);
  #body: Buffer[] = [];
  #kept = 0;
  #left = 0;
  #type: string | undefined;
  /** The next message has a length, but no type. */
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

/** Follows one connection, both ways. */
export class Conversation {
  /** As the client calls itself; undefined until it has said so. */
  applicationName: string | undefined;
  readonly #fromClient = new Messages(true);
  readonly #fromServer = new Messages(false);
  /** As the server's last ReadyForQuery has it: idle, in a transaction, in a failed one. */
  #status = "I";
  #hasExecuted = false;

  /** Answers whether the bytes hold the end of a transaction: the server's next answer is what tells the client that it is kept. */
  clientSays(bytes: Buffer): boolean {
    let commits = false;
    for (const { type, body } of this.#fromClient.read(bytes)) {
      if (type === "") this.applicationName ??= startupParameter(body, "application_name");
      else if (type === "Q") {
        // A simple query: COMMIT itself, or anything outside of a transaction, which commits by itself.
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

/** A parameter of the startup message: four bytes of version, then names and values, each ended by a zero byte. */
function startupParameter(body: Buffer, name: string): string | undefined {
  const words = body.subarray(4).toString("utf8").split("\0");
  const place = words.findIndex((word, index) => index % 2 === 0 && word === name);
  return place === -1 ? undefined : words[place + 1];
}
