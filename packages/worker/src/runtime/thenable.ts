/**
 * Whether a value is to be awaited: a promise, also of another realm or library. Never throws: what
 * cannot be read is not awaited.
 */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  if ((typeof value !== "object" || value === null) && typeof value !== "function") return false;
  try {
    return "then" in value && typeof value.then === "function";
  } catch {
    return false;
  }
}
