import type { Logger } from "@hark/core";
import { messageOf } from "@hark/core/internal";

/** How long a repeated line is only counted, in ms. */
const quietMs = 30_000;

/** Most different lines that are counted. Above it, a line is written as it comes. */
const mostKinds = 200;

/**
 * A calm logger, and the end of its counting: what was counted is written, and no timer is left.
 */
export interface CalmLogger extends Logger {
  end(): void;
}

interface Quiet {
  timer: NodeJS.Timeout;
  repeated: number;
  /** The last line that was not written. */
  write: (repeated: number) => void;
}

/**
 * The same logger for a part that runs without end, so that an outage does not fill the log. While
 * a database is away, some twenty loops fail several times a second. A warning or an error with the
 * same message and the same reason as one before is counted, and written again after
 * {@link quietMs} with the count as `repeated`, whichever part it is from. Lines about different
 * jobs are different.
 */
export function calmLogger(logger: Logger): CalmLogger {
  const quiet = new Map<string, Quiet>();
  let hasEnded = false;

  const calm =
    (level: "warn" | "error") =>
    (facts: object, message: string): void => {
      if (!("error" in facts) && !("reason" in facts)) return logger[level](facts, message);
      const key = keyOf(level, facts, message);
      const kept = quiet.get(key);
      if (kept) {
        kept.repeated += 1;
        kept.write = (repeated) => logger[level]({ ...facts, repeated }, message);
        return;
      }
      if (quiet.size < mostKinds && !hasEnded) {
        const timer = setTimeout(() => tell(key), quietMs).unref();
        quiet.set(key, { timer, repeated: 0, write: () => {} });
      }
      logger[level](facts, message);
    };

  function tell(key: string): void {
    const { timer, repeated, write } = quiet.get(key)!;
    clearTimeout(timer);
    quiet.delete(key);
    if (repeated > 0) write(repeated);
  }

  return {
    end() {
      hasEnded = true;
      for (const key of quiet.keys()) tell(key);
    },
    debug: (facts, message) => logger.debug(facts, message),
    info: (facts, message) => logger.info(facts, message),
    warn: calm("warn"),
    error: calm("error"),
    child: (facts) => logger.child(facts),
    ...(logger.isLevelEnabled && { isLevelEnabled: (level) => logger.isLevelEnabled!(level) }),
  };
}

/** What makes two lines the same: numbers in their reasons differ, such as ports and times. */
function keyOf(level: string, facts: object, message: string): string {
  const { error, reason: why, jobId } = facts as { error?: unknown; reason?: unknown; jobId?: bigint };
  const reason = messageOf(error ?? why)
    .slice(0, 200)
    .replaceAll(/\d+/g, "#");
  return [level, message, reason, String(jobId ?? "")].join("\n");
}
