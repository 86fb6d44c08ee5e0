import type { Random } from "../../support/random.ts";
import { pick } from "../../support/random.ts";
import type { Wish } from "../campaigns/ledger/entries.ts";
import { attempts, work } from "../campaigns/processes/jobs.ts";

/** So many of the keys get a tenth of all jobs. */
const hotKeys = 5;

/** Most jobs have the priority that most jobs have elsewhere. */
const priorities = [0, 0, 0, 0, 0, 0, 5, 5, -5, 10];

export const keyOf = (place: number): string => `key-${place}`;

/** Draws what a job shall do, and under which key and priority. */
export function drawWish(random: Random, ref: string, { keys, leaseMs }: { keys: number; leaseMs: number }): Wish {
  const between = (from: number, to: number) => Math.round(from + random() * (to - from));
  const key = keyOf(Math.trunc(random() * (random() < 0.1 ? Math.min(hotKeys, keys) : keys)));
  const priority = pick(random, priorities);
  const common = { ref, type: work.type, maxAttempts: attempts, key, priority };
  const kind = random();
  if (kind < 0.85) return { ...common, does: "sleep" };
  if (kind < 0.93) return { ...common, does: "sleep", ms: between(1, 20) };
  if (kind < 0.955) return { ...common, does: "fail", times: between(1, 2) };
  if (kind < 0.96) return { ...common, does: "fatal" };
  if (kind < 0.965) return { ...common, does: "snooze", times: 1, ms: between(20, 200) };
  if (kind < 0.968) return { ...common, does: "ignore", ms: between(leaseMs / 4, leaseMs) };
  if (kind < 0.98) return { ...common, does: "effect", ms: between(0, 10) };
  return { ...common, does: "sleep", delayMs: between(50, 1_500) };
}
