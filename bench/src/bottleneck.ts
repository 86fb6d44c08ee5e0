/** How busy each part of the machine was while something was measured, each as a share of what it can give (0 to 1). */
export interface Load {
  /** Of all cores, by whichever process. */
  readonly machineCpu: number;
  /** Of the time in which the WAL was being flushed: flushes come one after the other. */
  readonly walFlush: number;
  /** Of the samples of active sessions: waiting for a lock, heavy or light. */
  readonly locks: number;
  /** Of one core, by the busiest Node process on average: JavaScript has one thread. */
  readonly nodeThread: number;
}

/** From this share on a part counts as saturated. */
const full = 0.85;
/** From this share of waiting sessions on, locks are what holds them up. */
const crowded = 0.4;

/** What holds the rate down first, in words: the part that has the least left. */
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
