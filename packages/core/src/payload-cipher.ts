import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { checkOptions } from "./check-options.ts";
import { InvalidOptionsError, PayloadUnreadableError } from "./errors/index.ts";

export interface CipherOptions {
  /**
   * Keys by id: 32 bytes each, as bytes, hex or base64. Those that are no longer `current` still
   * read.
   */
  keys: Readonly<Record<string, Uint8Array | string>>;
  /** Id of the key that seals from now on. */
  current: string;
  /**
   * Whether payloads that were never sealed are run too: "accepted" if not given, since SQL cannot
   * seal and older jobs were not. "refused" makes dead letters of them, so that who may only write
   * to the database cannot make up jobs.
   */
  plain?: "accepted" | "refused";
}

/** For what job a payload is: it opens for no other. */
export interface SealedFor {
  readonly type: string;
  readonly queue: string;
}

/**
 * Seals payloads before they reach the database and opens them in the worker: see
 * createPayloadCipher().
 */
export interface PayloadCipher {
  /** Returns the payload's JSON sealed, as JSON. */
  seal(payloadJson: string, job: SealedFor): string;
  /**
   * Returns the payload that a stored one holds.
   * @throws PayloadUnreadableError
   */
  open(stored: unknown, job: SealedFor): unknown;
}

const algorithm = "aes-256-gcm";
/**
 * Bytes; 96 bits at random and a tag of 128, as NIST SP 800-38D recommends. It allows 2^32 seals to
 * a key.
 */
const ivBytes = 12;
const tagBytes = 16;
const keyBytes = 32;

/** The one property of a sealed payload. */
const property = "hark:sealed";
const form = /^v1\.([\w-]{1,32})\.([\w-]{16})\.([\w-]{22,})$/;

/**
 * Encrypts payloads with AES-256-GCM, for a producer and a worker that share keys which the
 * database never sees. A payload is bound to its job's type and queue, so that sealed ones cannot
 * be swapped between them. Keys and unique keys of jobs, results and errors stay readable. To
 * change a key, add the new one everywhere, then make it `current`, and take the old one away when
 * no job has it.
 * @throws InvalidOptionsError
 */
export function createPayloadCipher(options: CipherOptions): PayloadCipher {
  checkOptions("createPayloadCipher", options, { keys: "object", current: "any", plain: "any" });
  const { keys, current, plain = "accepted" } = options;
  const byId = new Map(Object.entries(keys).map(([id, key]) => [id, checkKey(id, key)]));
  const sealing = byId.get(current);
  if (!sealing)
    throw new InvalidOptionsError("createPayloadCipher", [
      { path: ["current"], message: "must be the id of one of keys" },
    ]);
  if (plain !== "accepted" && plain !== "refused")
    throw new InvalidOptionsError("createPayloadCipher", [{ path: ["plain"], message: "must be accepted or refused" }]);

  return {
    seal(payloadJson, job) {
      const iv = randomBytes(ivBytes);
      const cipher = createCipheriv(algorithm, sealing, iv, { authTagLength: tagBytes });
      cipher.setAAD(boundTo(current, job));
      const sealed = Buffer.concat([cipher.update(payloadJson, "utf8"), cipher.final(), cipher.getAuthTag()]);
      return JSON.stringify({
        [property]: `v1.${current}.${iv.toString("base64url")}.${sealed.toString("base64url")}`,
      });
    },
    open(stored, job) {
      if (!isSealed(stored)) {
        if (plain === "accepted") return stored;
        throw new PayloadUnreadableError(job, "it is not sealed, and this worker takes only what is");
      }
      const [, id = "", iv = "", text = ""] = form.exec(stored[property]) ?? [];
      const key = byId.get(id);
      if (id === "") throw new PayloadUnreadableError(job, "it is sealed in a form that this version does not know");
      if (!key) throw new PayloadUnreadableError(job, `its key ${id} is not among those of this worker`);
      const bytes = Buffer.from(text, "base64url");
      try {
        const decipher = createDecipheriv(algorithm, key, Buffer.from(iv, "base64url"), { authTagLength: tagBytes });
        decipher.setAAD(boundTo(id, job));
        decipher.setAuthTag(bytes.subarray(-tagBytes));
        const opened = Buffer.concat([decipher.update(bytes.subarray(0, -tagBytes)), decipher.final()]);
        return JSON.parse(opened.toString("utf8")) as unknown;
      } catch {
        throw new PayloadUnreadableError(
          job,
          `its key is another one called ${id}, or it was changed, or it was sealed for another type or queue`,
        );
      }
    },
  };
}

/** A payload as it is stored while nobody has opened it. */
export function isSealed(stored: unknown): stored is { [property]: string } {
  return (
    typeof stored === "object" &&
    stored !== null &&
    typeof (stored as Record<string, unknown>)[property] === "string" && // first: for nearly all payloads it is the whole answer
    Object.keys(stored).length === 1
  );
}

/**
 * The payload of a claimed job, whether or not there is a cipher. Throws
 * {@link PayloadUnreadableError}.
 */
export function openPayload(
  cipher: PayloadCipher | undefined,
  job: SealedFor & { readonly payload: unknown },
): unknown {
  if (cipher) return cipher.open(job.payload, job);
  if (!isSealed(job.payload)) return job.payload;
  throw new PayloadUnreadableError(job, "it is sealed, and this worker has no cipher");
}

/** What people are shown of a payload: "[encrypted]" for a sealed one, without any key. */
export function shownPayload(stored: unknown): unknown {
  return isSealed(stored) ? "[encrypted]" : stored;
}

/** The additional data of GCM. Names have no quotes, but JSON would keep them apart even so. */
const boundTo = (keyId: string, { type, queue }: SealedFor) =>
  Buffer.from(JSON.stringify(["hark", 1, keyId, type, queue]));

function checkKey(id: string, given: Uint8Array | string): Buffer {
  const refuse = (message: string) => {
    throw new InvalidOptionsError("createPayloadCipher", [{ path: ["keys", id], message }]);
  };
  if (!/^[\w-]{1,32}$/.test(id)) refuse("must have an id of 1 to 32 letters, digits, _ and -");
  const key =
    typeof given === "string"
      ? Buffer.from(given, /^[0-9a-f]{64}$/i.test(given) ? "hex" : "base64")
      : Buffer.from(given);
  if (key.length !== keyBytes)
    refuse(`must be ${keyBytes} bytes, as hex or base64 if it is text: "openssl rand -hex ${keyBytes}" makes one`);
  return key;
}
