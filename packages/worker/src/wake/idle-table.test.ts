import { expect, test } from "vitest";
import { type Answer, firstState, type IdleAction, type IdleEvent, type IdleState, type Mode } from "./idle-state.ts";
import { transition } from "./idle-table.ts";

const now = 1_000;
const modes: readonly Mode[] = ["looking", "settling", "held up", "asleep", "waiting"];

/** A state in a mode, with defaults for all that is not given. A waiting state waits 20 ms more. */
const state = (mode: Mode, facts: Partial<IdleState> = {}): IdleState => ({
  ...firstState,
  mode,
  waitsUntil: mode === "waiting" ? now + 20 : Number.POSITIVE_INFINITY,
  ...facts,
});
const woken = (delayMs = 0) => ({ on: "woken", now, delayMs }) as const;
const unsure = { on: "unsure", now } as const;
const step = { on: "step", now } as const;
const asked = (answer: Answer) => ({ on: "asked", now, answer }) as const;
const claimed = (found: number, { isListening = true, isBusy = false } = {}) =>
  ({ on: "claimed", now, found, isListening, isBusy }) as const;
const settled = (answer: Exclude<Answer, "unknown">, found = 0) =>
  ({ on: "settled", now, found, claimedAt: now - 30, answer }) as const;
const nothingWanted = { on: "nothing wanted" } as const;

const unproven = { isUnproven: true };
const justSpurious = { spuriousAt: now - 2 };
const longAgo = { spuriousAt: now - 50 };
const wokenInVain = { isWoken: true, wasUnproven: true, isUnproven: true };

type Expected = [mode: Mode, next: IdleAction["next"], facts?: Partial<IdleState>];

const rows: readonly [why: string, from: IdleState, event: IdleEvent, ...expected: Expected][] = [
  // A wake-up.
  ["it looks anyway", state("looking"), woken(), "looking", "go on", unproven],
  ["others may go first, but it looks anyway", state("looking"), woken(30), "looking", "go on", { isUnproven: false }],
  ["no rest is worth it", state("held up", { heldUpRests: 3 }), woken(30), "looking", "go on", { heldUpRests: 3 }],
  ["it is on the way to sleep", state("settling"), woken(), "settling", "go on", { isWoken: true, wasUnproven: false }],
  ["it is to claim at once", state("asleep"), woken(), "looking", "go on", unproven],
  ["it is to claim at once now", state("waiting"), woken(), "looking", "go on", { waitsUntil: Infinity }],
  ["others go first", state("asleep"), woken(30), "waiting", "go on", { waitsUntil: now + 30, isUnproven: false }],
  ["others go first, but sooner", state("waiting"), woken(10), "waiting", "go on", { waitsUntil: now + 10 }],
  [
    "a later turn is no reason to wait longer",
    state("waiting"),
    woken(30),
    "waiting",
    "go on",
    { waitsUntil: now + 20 },
  ],
  ["the last was spurious", state("asleep", justSpurious), woken(), "waiting", "go on", { waitsUntil: now + 3 }],
  ["the last was spurious", state("waiting", justSpurious), woken(), "waiting", "go on", { waitsUntil: now + 3 }],
  ["a spurious one is forgotten after 50 ms", state("asleep", longAgo), woken(), "looking", "go on"],

  // Something may have been missed.
  ["it looks anyway", state("looking"), unsure, "looking", "go on", { isUnproven: false }],
  ["no rest is worth it", state("held up"), unsure, "looking", "go on"],
  ["it is on the way to sleep", state("settling"), unsure, "settling", "go on", { isWoken: true }],
  ["it asks before it claims", state("asleep"), unsure, "waiting", "go on", { waitsUntil: now, isUnproven: false }],
  ["it asks before its turn", state("waiting"), unsure, "waiting", "go on", { waitsUntil: now }],

  // A step of the loop begins.
  ["awake", state("looking"), step, "looking", "claim"],
  ["going to sleep failed", state("settling", { isWoken: true }), step, "looking", "claim"],
  ["something was locked", state("held up"), step, "held up", "ask"],
  ["a slot came free", state("asleep"), step, "asleep", "until rung"],
  ["the first step", firstState, step, "asleep", "ask", { waitsUntil: Infinity }],
  ["not yet its turn", state("waiting"), step, "waiting", { restMs: 20 }],
  ["its turn", state("waiting", { waitsUntil: now }), step, "asleep", "ask", { waitsUntil: Infinity }],

  // The step asked whether anything is ready.
  ["woken while it asked", state("looking"), asked("quiet"), "looking", "claim"],
  [
    "locked no more, and gone",
    state("held up", { heldUpRests: 3 }),
    asked("quiet"),
    "asleep",
    "until rung",
    { heldUpRests: 0 },
  ],
  [
    "still locked, or free",
    state("held up", { heldUpRests: 3 }),
    asked("ready"),
    "looking",
    "claim",
    { heldUpRests: 3 },
  ],
  ["nothing", state("asleep"), asked("quiet"), "asleep", "until rung", { spuriousAt: -Infinity }],
  [
    "nothing again after a wake-up",
    state("asleep", unproven),
    asked("quiet"),
    "asleep",
    "until rung",
    { spuriousAt: now, isUnproven: false },
  ],
  ["something", state("asleep"), asked("ready"), "looking", "claim"],
  ["the gate does not open", state("asleep"), asked("no gate"), "waiting", { restMs: 1_000 }],
  ["woken while it asked, others first", state("waiting"), asked("quiet"), "waiting", { restMs: 20 }],
  ["woken while it asked, and there is no answer", state("looking"), asked("unknown"), "looking", "claim"],
  ["the question failed: the poll will ask", state("asleep"), asked("unknown"), "asleep", "until rung"],
  ["something", state("waiting"), asked("ready"), "looking", "claim", { waitsUntil: Infinity }],
  [
    "a transaction lasts: it asks again",
    state("asleep"),
    asked("interrupted"),
    "waiting",
    "again",
    { waitsUntil: now },
  ],
  ["woken while it asked, others first", state("waiting"), asked("interrupted"), "waiting", { restMs: 20 }],

  // A claim left nothing free.
  ["on the way to sleep", state("looking"), claimed(0), "settling", "settle", { wasUnproven: false, isWoken: false }],
  [
    "found nothing",
    state("looking", { ...unproven, heldUpRests: 3 }),
    claimed(0),
    "settling",
    "settle",
    { wasUnproven: true, heldUpRests: 3 },
  ],
  [
    "found a job",
    state("looking", { ...unproven, heldUpRests: 3 }),
    claimed(1),
    "settling",
    "settle",
    { wasUnproven: false, isUnproven: false, heldUpRests: 0 },
  ],
  ["jobs come fast", state("looking"), claimed(5, { isBusy: true }), "looking", { restMs: 1, isUninterruptible: true }],
  ["nothing is announced", state("asleep"), claimed(0, { isListening: false }), "looking", "until rung"],
  [
    "nothing is announced, though jobs come fast",
    state("looking"),
    claimed(5, { isListening: false, isBusy: true }),
    "looking",
    "until rung",
  ],

  // It tried to go to sleep.
  [
    "nothing is left",
    state("settling", { heldUpRests: 3 }),
    settled("quiet"),
    "asleep",
    "until rung",
    { heldUpRests: 0, spuriousAt: -Infinity },
  ],
  [
    "nothing was there",
    state("settling", { ...unproven, wasUnproven: true }),
    settled("quiet"),
    "asleep",
    "until rung",
    { spuriousAt: now, isUnproven: false },
  ],
  ["woken meanwhile", state("settling", { isWoken: true }), settled("quiet"), "looking", "again"],
  ["woken meanwhile", state("settling", { isWoken: true }), settled("no gate"), "looking", "again"],
  [
    "a spurious wake-up, and another meanwhile",
    state("settling", wokenInVain),
    settled("quiet"),
    "waiting",
    { restMs: 5 },
    { spuriousAt: now, isUnproven: false },
  ],
  [
    "a wake-up led to no job, but something is there",
    state("settling", wokenInVain),
    settled("ready"),
    "looking",
    "again",
  ],
  ["the gate does not open", state("settling"), settled("no gate"), "waiting", { restMs: 970 }],
  ["a transaction lasts: it asks", state("settling"), settled("interrupted"), "waiting", "again", { waitsUntil: now }],
  ["woken meanwhile", state("settling", { isWoken: true }), settled("interrupted"), "looking", "again"],
  ["a claim found jobs, and more are there", state("settling"), settled("ready", 1), "looking", "again"],
  ["a step that the loop gave up", state("looking"), settled("quiet"), "looking", "again"],
  ["a step that the loop gave up", state("asleep"), settled("ready"), "asleep", "again"],

  // It can take no job, or it stops.
  ["no slot is free", state("held up", { heldUpRests: 3 }), nothingWanted, "looking", "go on", { heldUpRests: 0 }],
  ["no slot is free", state("waiting"), nothingWanted, "looking", "go on", { waitsUntil: Infinity }],
];

for (const [why, from, event, mode, next, facts = {}] of rows) {
  test(`${from.mode}, then ${event.on}, then ${mode}: ${why}`, () => {
    const after = transition(from, event);
    expect(after.state).toMatchObject({ mode, ...facts });
    expect(after.action.next).toEqual(next);
  });
}

test("while ready jobs are locked, rests grow from 4 to 250 ms, half of each at random", () => {
  let from = state("settling");
  for (const mostMs of [4, 8, 16, 32, 64, 128, 250, 250]) {
    const after = transition(from, settled("ready"));
    expect(after.state.mode).toBe("held up");
    const { restMs } = after.action.next as { restMs: number };
    expect(restMs).toBeGreaterThanOrEqual(mostMs / 2);
    expect(restMs).toBeLessThanOrEqual(mostMs * 1.5);
    from = { ...after.state, mode: "settling" };
  }
});

test("the gate is closed exactly when it looks without notifications", () => {
  const closing: IdleEvent[] = [nothingWanted, claimed(5, { isBusy: true }), claimed(0, { isListening: false })];
  const others: IdleEvent[] = [woken(), woken(30), unsure, step, asked("quiet"), asked("ready"), claimed(0)];
  for (const mode of modes) {
    for (const event of closing) expect(transition(state(mode), event).action.closesGate, event.on).toBe(true);
    for (const event of [...others, settled("quiet"), settled("ready"), settled("no gate")])
      expect(transition(state(mode), event).action.closesGate, event.on).toBeUndefined();
  }
});

test("the table has a row for every event in every mode", () => {
  const answers = ["quiet", "ready", "no gate", "interrupted"] as const;
  const events: IdleEvent[] = [
    ...[woken(), woken(30), unsure, step, claimed(0), claimed(1), nothingWanted],
    ...[...answers, "unknown" as const].map((answer) => asked(answer)),
    ...answers.flatMap((answer) => [settled(answer, 0), settled(answer, 1)]),
  ];
  for (const mode of modes)
    for (const event of events)
      for (const facts of [{}, wokenInVain, justSpurious])
        expect(modes).toContain(transition(state(mode, facts), event).state.mode);
});
