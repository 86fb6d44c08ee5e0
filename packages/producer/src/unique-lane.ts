import { EnqueueTimeoutError } from "@hark/core/internal";
import { answerDeadlineMs } from "./deadline.ts";

/** Work that waits for a place. */
interface Waiting {
  readonly start: () => void;
}

/**
 * Where inserts with unique keys wait. Such an insert may have to wait for the transaction of
 * another job with its key, and holds a connection meanwhile. So inserts of one key take turns, and
 * all together leave one connection to jobs without unique keys (FM-67).
 */
export class UniqueLane {
  #free: number;
  readonly #line: Waiting[] = [];
  /** The last turn of each key. */
  readonly #turns = new Map<string, Promise<unknown>>();

  /** `places`: how many inserts may run at once. */
  constructor(places: number) {
    this.#free = places;
  }

  /** Does `work` in the turn of a key, once there is a place; without a key, for many of them. */
  async run<Answer>(key: string | undefined, work: () => Promise<Answer>): Promise<Answer> {
    if (key === undefined) return this.#inPlace(work);
    const before = this.#turns.get(key);
    const turn = before ? before.then(() => this.#inPlace(work)) : this.#inPlace(work);
    const over = turn.then(noop, noop);
    this.#turns.set(key, over);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(key) === over) this.#turns.delete(key);
    }
  }

  /**
   * As {@link UniqueLane.run}.
   * @throws EnqueueTimeoutError if the turn does not come in 20 s. The work is not done then
   */
  inTime<Answer>(key: string | undefined, work: () => Promise<Answer>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      let isLate = false;
      const timer = setTimeout(() => {
        isLate = true;
        reject(new EnqueueTimeoutError(answerDeadlineMs, false));
      }, answerDeadlineMs);
      const inTurn = async () => {
        if (isLate) return undefined as Answer; // the caller was told that nothing was written
        clearTimeout(timer);
        return work();
      };
      this.run(key, inTurn).then(resolve, reject);
    });
  }

  async #inPlace<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    if (this.#free === 0) await new Promise<void>((start) => this.#line.push({ start }));
    else this.#free -= 1;
    try {
      return await work();
    } finally {
      const next = this.#line.shift();
      if (next) next.start();
      else this.#free += 1;
    }
  }
}

const noop = () => {};
