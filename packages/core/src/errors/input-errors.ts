import { HarkError, type Issue, issuesText, quote } from "./hark-error.ts";

/** A queue, job type or schedule has a name of the wrong form. */
export class InvalidNameError extends HarkError {
  constructor(what: string, name: unknown) {
    super(
      "INVALID_NAME",
      { what, name },
      `${quote(name)} cannot name a ${what}: use 1 to 63 lower-case letters, digits, "_", ".", ":" or "-", ` +
        `starting with a letter or digit. Nothing was written.`,
    );
  }
}

/**
 * A payload does not fit the schema of its job type, or is not JSON. `issues` lists up to 20 of the
 * `total` things that are wrong.
 */
export class InvalidPayloadError extends HarkError {
  readonly issues: readonly Issue[];

  constructor(type: string, issues: readonly Issue[], total: number = issues.length) {
    super(
      "INVALID_PAYLOAD",
      { type, issues, total },
      `The payload of ${type} was refused: ${issuesText(issues, 5, total)}. Correct it and call again: this job was not written.`,
    );
    this.issues = issues;
  }
}

/** A payload has more than 256 KiB as PostgreSQL stores it. */
export class PayloadTooLargeError extends HarkError {
  constructor(type: string, bytes: number, maxBytes: number) {
    super(
      "PAYLOAD_TOO_LARGE",
      { type, bytes, maxBytes },
      `The payload of ${type} has at least ${bytes} bytes as PostgreSQL stores it, over the limit of ${maxBytes}. Store the content elsewhere and ` +
        `enqueue its address. Nothing was written.`,
    );
  }
}

/** Options of a function are wrong. `issues` lists all that is wrong with them. */
export class InvalidOptionsError extends HarkError {
  readonly issues: readonly Issue[];

  constructor(what: string, issues: readonly Issue[]) {
    super("INVALID_OPTIONS", { what, issues }, `${what} was refused: ${issuesText(issues, 20)}. Nothing was written.`);
    this.issues = issues;
  }
}

/** A job type was not defined with defineJob, or the server does not accept it. */
export class UnknownJobTypeError extends HarkError {
  constructor(type: unknown, known: readonly string[]) {
    super(
      "UNKNOWN_JOB_TYPE",
      { type, known },
      `There is no job type ${quote(type)}: known are ${known.length ? known.join(", ") : "none"}. Define it with defineJob, ` +
        `or correct the name. Nothing was written.`,
    );
  }
}

/** in(), guard() or completeIn() got something other than an open transaction. */
export class NotATransactionError extends HarkError {
  constructor(given: string, advice: string, cause?: unknown) {
    super("NOT_A_TRANSACTION", { given }, `in() expects an open transaction, but got ${given}. ${advice}`, {
      ...(cause !== undefined && { cause }),
    });
  }
}
