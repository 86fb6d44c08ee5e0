/**
 * Thrown if the command cannot run as it was given. The message says what to type instead. Exit
 * code 2.
 */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
