/** What a process of the campaign tells it. */
export type News = { kind: "ready"; url?: string } | { kind: "probe"; id: string };

export const tell = (news: News): void => void process.send?.(news);

/** The options that a process was started with. It ends with whoever started it. */
export function readOptions(): unknown {
  process.once("disconnect", () => process.exit(1));
  return JSON.parse(process.argv[2] ?? "{}");
}

/** Ends the process by itself: nothing of it may stay open. */
export function leave(): void {
  process.removeAllListeners("disconnect");
  process.disconnect?.();
}
