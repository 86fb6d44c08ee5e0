import type { Logger } from "@hark/core";

export interface LogLine {
  level: "debug" | "info" | "warn" | "error";
  facts: Record<string, unknown>;
  message: string;
}

/** A logger that keeps its lines, for tests of warnings that people rely on. */
export function recordingLogger(): Logger & { lines: LogLine[] } {
  const lines: LogLine[] = [];
  const to = (level: LogLine["level"], bound: object) => (facts: object, message: string) =>
    void lines.push({ level, facts: { ...bound, ...facts }, message });
  const bind = (bound: object): Logger => ({
    debug: to("debug", bound),
    info: to("info", bound),
    warn: to("warn", bound),
    error: to("error", bound),
    child: (facts) => bind({ ...bound, ...facts }),
  });
  return { lines, ...bind({}) };
}
