/**
 * A failure of the scraper itself: a stable code, the facts as fields, and a message that says what
 * follows.
 */
export class DataShelfError<Code extends string = string> extends Error {
  readonly code: Code;
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(code: Code, facts: Record<string, unknown>, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.facts = facts;
  }
}

/**
 * No complete response came: the page was not reached, took too long, or redirected in a circle.
 */
export class FetchError extends DataShelfError<"FETCH_FAILED" | "FETCH_TIMEOUT" | "REDIRECT_LIMIT"> {}

/**
 * The page came, but no book can be read from it. Fetching it again helps only if the shop changes
 * it.
 */
export class UnreadableBookError extends DataShelfError<"UNREADABLE_BOOK"> {
  constructor(url: string, missing: readonly ("title" | "price")[]) {
    super(
      "UNREADABLE_BOOK",
      { url, missing },
      `The page ${url} shows no ${missing.join(" and no ")}: no book was stored. Look at the page: the shop may have ` +
        `changed its layout, or this is not a product page.`,
    );
  }
}
