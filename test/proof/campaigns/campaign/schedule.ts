import { pick, type Random, randomFrom, shuffled } from "../../../support/random.ts";
import type { FaultKind } from "../ledger/entries.ts";

/** One fault: what is done, to which process, and when. */
export interface PlannedFault {
  /** From the start of the storm, in ms. */
  atMs: number;
  kind: Exclude<FaultKind, "stall"> | "poison" | "block";
  target: string;
  /** How long it lasts, in ms. For a kill: how long the process stays down. */
  forMs: number;
  /** For "delay" in ms, for "trickle" in bytes a second. */
  amount?: number;
  /** For "poison": how it ends its process. */
  how?: "exit" | "kill";
}

export type PlannedKind = PlannedFault["kind"];

export interface ScheduleOptions {
  seed: number;
  stormMs: number;
  leaseMs: number;
  workers: readonly string[];
  /** All other processes with a proxy. */
  others: readonly string[];
  hasStandby: boolean;
  hasPooler: boolean;
  hasSmallDisk: boolean;
  /** Only these kinds. Default: all. */
  only?: readonly PlannedKind[] | undefined;
}

/**
 * How often each kind is in one deck. A deck is dealt out before the next is shuffled, so that a
 * short run meets most kinds.
 */
const weights: Record<PlannedKind, number> = {
  cut: 2,
  refuse: 1,
  hole: 2,
  "hole up": 1,
  "hole down": 1,
  delay: 1,
  trickle: 1,
  "cut at commit": 3,
  "listener cut": 2,
  "listener hole": 1,
  kill: 3,
  stop: 3,
  terminate: 2,
  backends: 2,
  "lock row": 1,
  crash: 1,
  restart: 1,
  promote: 0, // once, in the middle
  "pooler killed": 1,
  "disk full": 1,
  poison: 1,
  block: 2,
};

export const plannedKinds = Object.keys(weights) as PlannedKind[];

/** From one fault to the next, on average, in ms. It is so short that several go on at once. */
const meanGapMs = 1_200;

/**
 * Kinds that affect all processes. There is no second one while one lasts, and until its clients
 * are back.
 */
const ofTheServer = new Set<PlannedKind>(["crash", "restart", "promote", "disk full"]);
const serverRestMs = 4_000;

/** Plans all faults from the seed: the same options give the same schedule. */
export function planFaults(options: ScheduleOptions): PlannedFault[] {
  const { seed, stormMs, only } = options;
  const random = randomFrom(seed);
  const allowed = (kind: PlannedKind) =>
    (!only || only.includes(kind)) &&
    (kind !== "pooler killed" || options.hasPooler) &&
    (kind !== "disk full" || options.hasSmallDisk) &&
    kind !== "promote";
  const deck = Object.entries(weights).flatMap(([kind, weight]) =>
    allowed(kind as PlannedKind) ? Array.from({ length: weight }, () => kind as PlannedKind) : [],
  );

  const planned: PlannedFault[] = [];
  const isPromoting = options.hasStandby && (!only || only.includes("promote"));
  if (isPromoting)
    planned.push({ atMs: stormMs * (0.4 + random() * 0.2), kind: "promote", target: "server", forMs: 0 });

  const busyUntil = new Map<string, number>();
  let left: PlannedKind[] = [];
  for (let atMs = 500; deck.length > 0; atMs += -Math.log(1 - random() * 0.95) * meanGapMs) {
    if (left.length === 0) left = shuffled(random, deck);
    const fault = draw(left.pop()!, atMs, options, random);
    if (fault.atMs + Math.min(fault.forMs, 1_000) > stormMs) break;
    const isClose = (other: PlannedFault) =>
      Math.abs(other.atMs - atMs) < serverRestMs + Math.max(other.forMs, fault.forMs);
    if (ofTheServer.has(fault.kind) && planned.some((other) => ofTheServer.has(other.kind) && isClose(other))) continue;
    if ((busyUntil.get(fault.target) ?? 0) > atMs && fault.target !== "server") continue;
    busyUntil.set(fault.target, atMs + fault.forMs);
    planned.push(fault);
  }
  return planned.toSorted((one, other) => one.atMs - other.atMs);
}

function draw(kind: PlannedKind, atMs: number, options: ScheduleOptions, random: Random): PlannedFault {
  const { workers, others, leaseMs } = options;
  const between = (from: number, to: number) => Math.round(from + random() * (to - from));
  const worker = pick(random, workers);
  const anybody = pick(random, [...workers, ...workers, ...others]);
  const plan = (target: string, forMs: number, more: Partial<PlannedFault> = {}): PlannedFault => ({
    atMs: Math.round(atMs),
    kind,
    target,
    forMs,
    ...more,
  });
  switch (kind) {
    case "cut":
      return plan(anybody, between(0, 1_500));
    case "refuse":
      return plan(anybody, between(500, 3_000));
    case "hole":
    case "hole up":
    case "hole down":
      return plan(anybody, between(500, leaseMs * 2));
    case "delay":
      return plan(anybody, between(1_000, 4_000), { amount: between(20, 300) });
    case "trickle":
      return plan(anybody, between(1_000, 4_000), { amount: between(2_000, 20_000) });
    case "cut at commit":
      return plan(anybody, between(300, 1_500));
    case "listener cut":
      return plan(worker, between(0, 1_500));
    case "listener hole":
      return plan(worker, between(1_000, 3_000));
    case "kill":
      return plan(anybody, between(0, 2_000));
    case "stop":
      return plan(random() < 0.7 ? worker : anybody, between(200, leaseMs * 2.5));
    case "terminate":
      return plan(worker, between(0, 500));
    case "backends":
      return plan(anybody, 0);
    case "lock row":
      return plan(worker, between(1_500, 3_000));
    case "crash":
      return plan("server", between(0, 2_000));
    case "restart":
    case "promote":
      return plan("server", 0);
    case "disk full":
      return plan("server", between(1_000, 3_000));
    case "pooler killed":
      return plan("pooler", between(0, 1_000));
    case "poison":
      return plan("work", 0, { how: random() < 0.5 ? "exit" : "kill" });
    case "block":
      return plan("work", between(leaseMs * 0.5, leaseMs * 1.5));
    default:
      return kind satisfies never;
  }
}
