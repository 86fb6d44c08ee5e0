/** A message from a process to its campaign. */
export type News = { kind: "ready"; url?: string } | { kind: "probe"; id: string };

export const tell = (news: News): void => void process.send?.(news);

/**
 * Returns the options that this process was started with. From then on it ends when its parent
 * ends.
 */
export function readOptions(): unknown {
  process.once("disconnect", () => process.exit(1));
  return JSON.parse(process.argv[2] ?? "{}");
}

/** Lets the process end by itself: nothing may stay open. */
export function leave(): void {
  process.removeAllListeners("disconnect");
  process.disconnect?.();
}
