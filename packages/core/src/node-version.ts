/** The oldest Node that Hark runs on. */
export const leastNode = "22.12.0";

/** The oldest Node that runs TypeScript files without compiling them. */
export const leastNodeForTypeScript = "22.18.0";

/**
 * Returns the message for a Node that is too old, or undefined. This file imports nothing and uses
 * no modern syntax, because an old Node must be able to run it.
 */
export function nodeComplaint(version: string): string | undefined {
  if (isAtLeast(version, leastNode)) return undefined;
  return (
    "Hark needs Node " +
    leastNode +
    " or newer, and this is Node " +
    version +
    ". Install a newer one, and run this again."
  );
}

/** Compares versions by number. The part after a hyphen, as in "25.0.0-nightly", does not count. */
export function isAtLeast(version: string, least: string): boolean {
  const numbers = (text: string) => text.split("-", 1)[0]!.split(".").map(Number);
  const found = numbers(version);
  const wanted = numbers(least);
  for (let place = 0; place < wanted.length; place += 1) {
    const difference = (found[place] || 0) - wanted[place]!;
    if (difference !== 0) return difference > 0;
  }
  return true;
}
