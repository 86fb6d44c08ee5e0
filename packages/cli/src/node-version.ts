/** The oldest Node that Hark runs on. */
export const leastNode = "22.12.0";

/** The oldest Node that runs TypeScript files as they are. */
export const leastNodeForTypeScript = "22.18.0";

/**
 * Answers what to tell someone whose Node is too old; undefined if it is not. This file imports nothing and uses nothing
 * modern, since the Node that must be told runs it too.
 */
export function nodeComplaint(version: string): string | undefined {
  if (isAtLeast(version, leastNode)) return undefined;
  return (
    "hark: Node " +
    version +
    " is too old: Hark needs Node " +
    leastNode +
    " or newer. Install one, and run this again."
  );
}

/** Compares versions by number; what comes after a hyphen, as in "25.0.0-nightly", does not count. */
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
