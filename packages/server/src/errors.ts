import { HarkError, type Issue } from "@hark/core";

/** A request was refused before anything was written. failures.ts maps its code to a status. */
export class RequestRefusedError extends HarkError {
  readonly issues: readonly Issue[] | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code:
      | "MALFORMED_REQUEST"
      | "MALFORMED_JSON"
      | "INVALID_BODY"
      | "INVALID_QUERY"
      | "UNAUTHORIZED"
      | "SCOPE_MISSING"
      | "TOO_MANY_REQUESTS"
      | "CROSS_SITE"
      | "NOT_FOUND"
      | "METHOD_NOT_ALLOWED"
      | "BODY_TOO_LARGE"
      | "UNSUPPORTED_MEDIA_TYPE"
      | "HOST_NOT_ALLOWED",
    message: string,
    { issues, headers = {} }: { issues?: readonly Issue[]; headers?: Record<string, string> } = {},
  ) {
    super(code, {}, message);
    this.issues = issues;
    this.headers = headers;
  }
}

/** The database did not answer within the server's deadline. */
export class DatabaseTimeoutError extends HarkError {
  constructor(waitedMs: number) {
    super(
      "DATABASE_TIMEOUT",
      { waitedMs },
      `The database did not answer within ${waitedMs} ms. A requested change may still happen: check before you repeat it.`,
    );
  }
}

/** A server without a credential was told to listen on an address that other machines can reach. */
export class OpenServerError extends HarkError {
  constructor(host: string) {
    super(
      "OPEN_SERVER",
      { host },
      `The server was not started on ${host}: without a token, anyone who reaches that address could enqueue jobs and read dead ` +
        `letters. Set a token, or bind to 127.0.0.1.`,
    );
  }
}

/** The server cannot listen on the address or port. */
export class CannotListenError extends HarkError {
  constructor(host: string, port: number, cause: unknown) {
    super(
      "CANNOT_LISTEN",
      { host, port },
      `The server could not listen on ${host} port ${port}: ${cause instanceof Error ? cause.message : String(cause)}. Choose ` +
        `another port, or stop the process that listens there.`,
      { cause },
    );
  }
}
