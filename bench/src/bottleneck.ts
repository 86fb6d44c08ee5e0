/**
 * How busy each part of the machine was during a measurement, as a share of its capacity (0 to 1).
 */
export interface Load {
  /** Share of all cores, used by any process. */
  readonly machineCpu: number;
  /** Share of the time in which WAL was being flushed. Flushes run one after the other. */
  readonly walFlush: number;
  /** Share of the sampled active sessions that waited for a lock, heavyweight or lightweight. */
  readonly locks: number;
  /** Share of one core used by the busiest Node process, on average. JavaScript has one thread. */
  readonly nodeThread: number;
}

/** A part counts as saturated from this share on. */
const full = 0.85;
/** Locks count as the bottleneck from this share of waiting sessions on. */
const crowded = 0.4;

/** Describes what limits the rate first: the part with the least capacity left. */
export function bottleneckOf({ machineCpu, walFlush, locks, nodeThread }: Load): string {
  const percent = (share: number) => `${Math.round(share * 100)} %`;
  const parts: [number, string][] = [
    [machineCpu, `CPU of the machine (${percent(machineCpu)})`],
    [walFlush, `WAL flush (${percent(walFlush)} of the time)`],
    [nodeThread, `one Node thread (${percent(nodeThread)} of a core)`],
  ];
  const [share, name] = parts.toSorted(([one], [other]) => other - one)[0]!;
  if (share >= full) return name;
  if (locks >= crowded) return `locks (${percent(locks)} of the active sessions wait)`;
  return `none is full; nearest: ${name}`;
}
