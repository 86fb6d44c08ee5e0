/** The command cannot run as it was given; its message says what to type instead. Exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
