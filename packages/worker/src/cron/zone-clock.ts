const hourMs = 3_600_000;

/**
 * More than any zone's distance from UTC (12 h behind, 14 h ahead), and more than any clock change
 * so far (24 h, Apia in 2011).
 */
const beyondMs = 27 * hourMs;

/**
 * The clock of a time zone, by the zone data of this Node (`process.versions.tz`). A wall time is
 * the time that the clock shows, as epoch ms of the same figures in UTC. When clocks change, some
 * wall times occur twice (an overlap), and others never (a gap).
 */
export class ZoneClock {
  readonly #format: Intl.DateTimeFormat;

  /** @throws RangeError for a zone that this Node does not know */
  constructor(zone: string) {
    const [figure, two] = ["numeric", "2-digit"] as const;
    const date = { year: figure, month: two, day: two } as const;
    const time = { hour: two, minute: two, second: two, hourCycle: "h23" } as const;
    this.#format = new Intl.DateTimeFormat("en-US", { timeZone: zone, ...date, ...time });
  }

  /** What the clock shows at an instant, both in epoch ms. */
  wallAt(instantMs: number): number {
    return instantMs + this.#offsetAt(instantMs);
  }

  /**
   * The instants at which the clock shows a wall time, in order: one, two in an overlap, none in a
   * gap.
   */
  instantsAt(wallMs: number): number[] {
    const before = this.#offsetAt(wallMs - beyondMs);
    const after = this.#offsetAt(wallMs + beyondMs);
    if (before === after) return [wallMs - before];
    return [wallMs - before, wallMs - after]
      .filter((instantMs) => this.wallAt(instantMs) === wallMs)
      .toSorted((one, other) => one - other);
  }

  /** For a wall time in a gap: the first instant after it. */
  endOfGap(wallMs: number): number {
    return this.#turnBetween(wallMs - beyondMs, wallMs + beyondMs);
  }

  /**
   * The instant within the next 26 hours at which the clock is set back, and the wall time it would
   * have shown then.
   */
  turnedBackAfter(instantMs: number): { atMs: number; insteadOfMs: number } | undefined {
    const endMs = instantMs + 26 * hourMs;
    const offset = this.#offsetAt(instantMs);
    if (this.#offsetAt(endMs) >= offset) return undefined;
    const atMs = this.#turnBetween(instantMs, endMs);
    return { atMs, insteadOfMs: atMs + offset };
  }

  /**
   * The first instant, in whole seconds, that has the offset of `toMs` and not that of `fromMs`.
   */
  #turnBetween(fromMs: number, toMs: number): number {
    const before = this.#offsetAt(fromMs);
    let [low, high] = [Math.floor(fromMs / 1_000), Math.ceil(toMs / 1_000)];
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (this.#offsetAt(middle * 1_000) === before) low = middle;
      else high = middle;
    }
    return high * 1_000;
  }

  #offsetAt(instantMs: number): number {
    const secondMs = Math.floor(instantMs / 1_000) * 1_000;
    const [month, day, year, hour, minute, second] = this.#format.format(secondMs).match(/\d+/g)!.map(Number);
    return Date.UTC(year!, month! - 1, day, hour, minute, second) - secondMs;
  }
}
