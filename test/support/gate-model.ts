/** A step of the protocol, or an order of two, or a promise that it relies on. */
export type Omission =
  | "quiesce"
  | "mark before list"
  | "look before claim"
  | "lock until visible"
  | "ring before claim"
  | "ring before question"
  | "see what is locked"
  | "keep the mark"
  | "word of a loss";

/**
 * The protocol of the armed gate (docs/decisions/0006) as atomic steps, to be run in every order. One queue. A producer writes a
 * row, reads the gate and commits or rolls back; a worker claims, and goes to sleep in the steps of sleeper.ts and fall-asleep.ts.
 * PostgreSQL's share: a commit becomes visible, then gives its lock back, then its notification is delivered, and those are three
 * moments; and a claim holds its rows for a while, in which other claims step over them and a question sees them. That a claim is
 * a writer too is left out: the protocol must hold without it.
 */
export interface ModelOptions {
  readonly workers: number;
  /** One list of steps each. "write" is an insert with its trigger's look in two moments, "undo" rolls the whole back. */
  readonly producers: readonly (readonly ("write" | "undo" | "commit")[])[];
  /** The first worker may be killed at any moment: its mark goes with it, and what it has claimed but not committed comes back. */
  readonly mayDie?: boolean;
  /** The first worker's session with the mark may be lost once, of which it hears later. */
  readonly mayLoseMark?: boolean;
  /** What is left out or turned round: twins that must lose a wake-up. */
  readonly without?: Omission;
}

type WorkerStep =
  | "awake"
  | "claiming"
  | "mark"
  | "list"
  | "ask"
  | "look"
  | "ask again"
  | "ask once more"
  | "reset"
  | "asleep"
  | "its turn"
  | "ask in turn"
  | "reset in turn"
  | "dead";

interface State {
  readonly workers: {
    at: WorkerStep;
    isMarked: boolean;
    /** Its mark was seen by all who write: whoever did not has ended, and was looked for. */
    isQuiet: boolean;
    isRung: boolean;
    writers: number[];
    /** Rows of its claim that is not committed yet. */
    held: number;
    mark: "safe" | "lost" | "told";
  }[];
  readonly producers: {
    at: number;
    /** Within a write: the row is there, the gate not yet read. */
    isWriting: boolean;
    holdsLock: boolean;
    notifies: boolean;
    /** 0 open, 1 visible, 2 lock released, 3 delivered. */
    ending: 0 | 1 | 2 | 3;
    isUndone: boolean;
    rows: number;
  }[];
  /** Committed rows that nobody has claimed, or holds locked. */
  ready: number;
}

const copy = (state: State): State => ({
  workers: state.workers.map((worker) => ({ ...worker, writers: [...worker.writers] })),
  producers: state.producers.map((producer) => ({ ...producer })),
  ready: state.ready,
});

/** Runs every order; answers how many states there are, and the shortest way to a state in which a ready job waits for ever. */
export function explore(options: ModelOptions): { states: number; lost: readonly string[] | undefined } {
  const start: State = {
    workers: Array.from({ length: options.workers }, () => ({
      at: "awake" as const,
      isMarked: false,
      isQuiet: false,
      isRung: false,
      writers: [],
      held: 0,
      mark: "safe" as const,
    })),
    producers: options.producers.map(() => ({
      at: 0,
      isWriting: false,
      holdsLock: false,
      notifies: false,
      ending: 0 as const,
      isUndone: false,
      rows: 0,
    })),
    ready: 0,
  };
  const seen = new Set([JSON.stringify(start)]);
  const open: { state: State; way: readonly string[] }[] = [{ state: start, way: [] }];
  for (let next = 0; next < open.length; next += 1) {
    const { state, way } = open[next]!;
    const moves = movesFrom(state, options);
    const isAwaited = state.workers.some(({ at }) => at !== "dead");
    if (moves.length === 0 && state.ready > 0 && isAwaited) return { states: seen.size, lost: way };
    for (const { name, after } of moves) {
      const key = JSON.stringify(after);
      if (seen.has(key)) continue;
      seen.add(key);
      open.push({ state: after, way: [...way, name] });
    }
  }
  return { states: seen.size, lost: undefined };
}

type Move = { name: string; after: State };

function movesFrom(state: State, options: ModelOptions): Move[] {
  const moves: Move[] = [];
  const move = (name: string, change: (after: State) => void) => {
    const after = copy(state);
    change(after);
    moves.push({ name, after });
  };
  for (const place of state.producers.keys()) producerMoves(state, place, options, move);
  for (const place of state.workers.keys()) workerMoves(state, place, options, move);
  return moves;
}

type MoveTo = (name: string, change: (after: State) => void) => void;

function producerMoves(state: State, place: number, { producers, without }: ModelOptions, move: MoveTo): void {
  const now = state.producers[place]!;
  const step = producers[place]![now.at];
  const name = `producer ${place}`;
  const mine = (change: (producer: State["producers"][number], after: State) => void) => (after: State) =>
    change(after.producers[place]!, after);

  if (now.ending === 0 && now.isWriting) {
    const isOpen = state.workers.some(({ isMarked }) => isMarked);
    move(
      `${name} reads the gate ${isOpen ? "open" : "shut"}`,
      mine((producer) => {
        producer.isWriting = false;
        producer.notifies ||= isOpen;
        producer.at += 1;
      }),
    );
    return;
  }
  if (now.ending === 0 && step === "write") {
    move(
      `${name} inserts`,
      mine((producer) => {
        producer.isWriting = producer.holdsLock = true;
        producer.rows += 1;
      }),
    );
    return;
  }
  if (now.ending === 0 && step !== undefined) {
    // The twin gives the lock back before the commit is visible, as PostgreSQL does not.
    if (without === "lock until visible" && now.holdsLock) {
      move(
        `${name} releases early`,
        mine((producer) => (producer.holdsLock = false)),
      );
      return;
    }
    move(
      `${name} ${step}s`,
      mine((producer, after) => {
        producer.ending = 1;
        producer.isUndone = step === "undo";
        if (step === "commit") after.ready += producer.rows;
        else producer.notifies = false;
      }),
    );
    return;
  }
  if (now.ending === 1) {
    move(
      `${name} releases`,
      mine((producer) => {
        producer.holdsLock = false;
        producer.ending = 2;
      }),
    );
  }
  // Delivered once visible; before or after the lock is given back.
  if (now.ending >= 1 && now.notifies) {
    move(
      `${name}'s notification arrives`,
      mine((producer, after) => {
        producer.notifies = false;
        for (const worker of after.workers) worker.isRung = true;
      }),
    );
  }
}

function workerMoves(state: State, place: number, options: ModelOptions, move: MoveTo): void {
  const { without } = options;
  const now = state.workers[place]!;
  const name = `worker ${place}`;
  const go = (what: string, change: (worker: State["workers"][number], after: State) => void) =>
    move(`${name} ${what}`, (after) => change(after.workers[place]!, after));
  const writersOf = ({ producers }: State) =>
    [...producers.keys()].filter((producer) => producers[producer]!.holdsLock && producers[producer]!.ending === 0);
  /** What a question sees: ready rows, and those that a claim holds and may give back. */
  const seenBy = ({ ready, workers }: State) =>
    without === "see what is locked" ? ready : ready + workers.reduce((sum, { held }) => sum + held, 0);
  /** Asks whether anything is ready. If so it is awake, and its mark stands. */
  const ask = (then: WorkerStep) =>
    go(`asks and sees ${seenBy(state)}`, (worker, after) => {
      worker.at = seenBy(after) > 0 ? "awake" : then;
      if (worker.at === "awake") worker.writers = [];
      else if (then === "asleep") worker.isQuiet = worker.isMarked;
    });
  /** Where it goes from a claim that left nothing. */
  const settle = ({ isQuiet, isMarked }: State["workers"][number]): WorkerStep =>
    isQuiet && isMarked ? "ask once more" : without === "mark before list" ? "list" : "mark";

  const last = without === "ring before claim" ? "reset" : "asleep";
  if (now.at === "dead") return;
  if (options.mayDie && place === 0) {
    go("is killed", (worker, after) => {
      after.ready += worker.held;
      Object.assign(worker, { at: "dead", isMarked: false, isQuiet: false, isRung: false, writers: [], held: 0 });
    });
  }
  if (options.mayLoseMark && place === 0 && now.isMarked && now.mark === "safe") {
    go("loses its mark", (worker) => Object.assign(worker, { isMarked: false, mark: "lost" }));
  }
  if (now.mark === "lost") {
    go("is told of the loss", (worker) =>
      Object.assign(worker, { isRung: without !== "word of a loss" || worker.isRung, isQuiet: false, mark: "told" }),
    );
    if (now.at === "mark" || now.at === "list" || now.at === "look") {
      return go("finds its session gone", (worker) =>
        Object.assign(worker, { at: "awake", isQuiet: false, writers: [], mark: "told" }),
      );
    }
  }

  switch (now.at) {
    case "awake":
      // Its loop: arms the ring, claims all that nobody else holds; only a claim that leaves nothing goes on to sleep.
      return go(`arms its ring and claims ${state.ready}`, (worker, after) => {
        if (without !== "ring before claim") worker.isRung = false;
        worker.held = after.ready;
        after.ready = 0;
        worker.at = worker.held > 0 ? "claiming" : settle(worker);
      });
    case "claiming":
      go("commits its claim, and has slots left", (worker) => {
        worker.held = 0;
        worker.at = settle(worker);
      });
      go("commits its claim, and is busy", (worker) =>
        Object.assign(worker, { held: 0, at: "awake", isMarked: false, isQuiet: false }),
      );
      return go("fails to commit its claim", (worker, after) => {
        after.ready += worker.held;
        Object.assign(worker, { held: 0, at: "awake" });
      });
    case "mark":
      return go("sets its mark", (worker) => {
        worker.isMarked = true;
        worker.at = without === "mark before list" ? "ask" : "list";
      });
    case "list":
      return go("lists the writers", (worker, after) => {
        worker.writers = writersOf(after);
        worker.at = without === "mark before list" ? "mark" : "ask";
      });
    case "ask":
      return ask(without === "quiesce" || now.writers.length === 0 ? last : "look");
    case "look":
      if (now.isRung)
        return go("is rung while it looks", (worker) => Object.assign(worker, { at: "awake", writers: [] }));
      return go("looks who still writes", (worker, after) => {
        const open = worker.writers.filter((writer) => after.producers[writer]!.holdsLock);
        const isOneGone = open.length < worker.writers.length;
        worker.writers = open;
        worker.at = isOneGone ? "ask again" : "look";
        if (without === "look before claim" && open.length === 0) worker.at = "asleep"; // asked before, not after
      });
    case "ask again":
      return ask(now.writers.length === 0 ? last : "look");
    case "ask once more":
      return ask(last);
    case "reset":
      return go("arms its ring after the question", (worker) => Object.assign(worker, { isRung: false, at: "asleep" }));
    case "asleep":
      if (!now.isRung) return;
      // Others may come first: then it waits for its turn, and only asks.
      go("wakes", (worker) => (worker.at = "awake"));
      if (now.isQuiet && now.isMarked) go("wakes to wait for its turn", (worker) => (worker.at = "its turn"));
      return;
    case "its turn":
      if (!now.isQuiet) return go("has heard of a loss, and looks", (worker) => (worker.at = "awake"));
      return go("arms its ring, to ask in its turn", (worker) => {
        if (without !== "ring before question") worker.isRung = false;
        if (without === "keep the mark") worker.isMarked = false;
        worker.at = "ask in turn";
      });
    case "ask in turn":
      if (!now.isQuiet) return go("has heard of a loss, and looks", (worker) => (worker.at = "awake"));
      return go(`asks in its turn and sees ${seenBy(state)}`, (worker, after) => {
        if (seenBy(after) > 0) worker.at = "awake";
        else worker.at = without === "ring before question" ? "reset in turn" : "asleep";
      });
    case "reset in turn":
      return go("arms its ring after its turn", (worker) => Object.assign(worker, { isRung: false, at: "asleep" }));
    default:
      now.at satisfies never;
  }
}
