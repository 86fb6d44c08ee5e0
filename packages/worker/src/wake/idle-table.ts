import type { Backoff } from "@hark/core";
import { backoffMs } from "@hark/core/internal";
import type { Answer, IdleAction, IdleEvent, IdleState, Mode, Transition } from "./idle-state.ts";

/**
 * From one look to the next while jobs come fast, in ms. With 2 the median job of 500 a second
 * started after 4.7 to 7.6 ms, with 1 after 4.0 to 4.3, and neither a drain beside a bulk producer
 * nor one beside 16 callers became slower. No ring ends this rest, because every job that ends
 * rings for its slot. Claims without a rest found few more jobs, and took CPU time from the
 * producers.
 */
const busyRestMs = 1;

/**
 * From one look to the next when the gate cannot be opened, in ms: nothing is announced meanwhile.
 */
const noGateRestMs = 1_000;

/**
 * Rests while jobs are ready but locked by another worker's uncommitted claim, in ms. It mostly
 * commits in a moment, so one or two rests are enough. If that worker dies, its jobs are found this
 * much later.
 */
const heldUpRests: Backoff = { baseMs: 4, factor: 2, capMs: 250, jitter: 0.5 };

/**
 * For `memoryMs` after a spurious wake-up, the next one probes before it claims, at most once per
 * `restMs`. Anyone may send notifications, and so they can cause at most 20 claims and 200 probes a
 * second (FM-13).
 */
const spurious = { memoryMs: 50, restMs: 5 };

type Kind = IdleEvent["on"];
type On<K extends Kind> = Extract<IdleEvent, { on: K }>;

/** A row of the table: modes, condition, new state, and what the loop does next. */
type Row<K extends Kind> = readonly [
  modes: readonly Mode[],
  holds: (state: IdleState, event: On<K>) => boolean,
  becomes: (state: IdleState, event: On<K>) => IdleState,
  then: (state: IdleState, event: On<K>) => IdleAction,
];

/** The states that a row may lead to. */
const to = {
  same: (state: IdleState): IdleState => state,
  looking: (state: IdleState): IdleState => ({ ...state, mode: "looking", waitsUntil: Number.POSITIVE_INFINITY }),
  /** It looks without notifications. */
  awake: (state: IdleState): IdleState => ({ ...to.looking(state), heldUpRests: 0 }),
  settling: (state: IdleState): IdleState => ({
    ...state,
    mode: "settling",
    wasUnproven: state.isUnproven,
    isWoken: false,
  }),
  wokenWhileSettling: (state: IdleState): IdleState => ({ ...state, isWoken: true }),
  heldUp: (state: IdleState): IdleState => ({ ...state, mode: "held up", heldUpRests: state.heldUpRests + 1 }),
  /** A wake-up that led to nothing until it sleeps again was spurious. */
  asleep: (state: IdleState, { now }: { now: number }): IdleState => ({
    ...state,
    mode: "asleep",
    waitsUntil: Number.POSITIVE_INFINITY,
    heldUpRests: 0,
    isUnproven: false,
    spuriousAt: state.isUnproven ? now : state.spuriousAt,
  }),
  /** Its turn has come: it asks as if polled. */
  asking: (state: IdleState): IdleState => ({ ...state, mode: "asleep", waitsUntil: Number.POSITIVE_INFINITY }),
  waitingForOthers: (state: IdleState, { now, delayMs }: On<"woken">): IdleState => ({
    ...state,
    mode: "waiting",
    waitsUntil: Math.min(state.waitsUntil, now + delayMs),
  }),
  /** It asks with the next step, whatever others do. */
  unsure: (state: IdleState, { now }: { now: number }): IdleState => ({
    ...state,
    mode: "waiting",
    waitsUntil: Math.min(state.waitsUntil, now),
  }),
  /** Nothing will be announced, so it asks again after a rest. */
  withoutGate: (state: IdleState, since: number): IdleState => ({
    ...to.awake(state),
    mode: "waiting",
    waitsUntil: since + noGateRestMs,
  }),
  waitingToProbe: (state: IdleState): IdleState => ({
    ...state,
    mode: "waiting",
    waitsUntil: Math.min(state.waitsUntil, state.spuriousAt + spurious.restMs),
  }),
  /** Asleep, but woken while it asked. */
  stillWaiting: (state: IdleState, event: { now: number }): IdleState => ({
    ...to.asleep(state, event),
    mode: "waiting",
    waitsUntil: state.waitsUntil,
  }),
  /** Asleep after a spurious wake-up, and woken again meanwhile. */
  probing: (state: IdleState, event: { now: number }): IdleState => to.waitingToProbe(to.asleep(state, event)),
};

const act = {
  goOn: (): IdleAction => ({ next: "go on" }),
  claim: (): IdleAction => ({ next: "claim" }),
  ask: (): IdleAction => ({ next: "ask" }),
  settle: (): IdleAction => ({ next: "settle" }),
  again: (): IdleAction => ({ next: "again" }),
  /** Until a wake-up; the poll is one. */
  sleep: (): IdleAction => ({ next: "until rung" }),
  restUntilTurn: (state: IdleState, { now }: { now: number }): IdleAction => ({
    next: { restMs: Math.max(state.waitsUntil - now, 0) },
  }),
  restHeldUp: (state: IdleState): IdleAction => ({ next: { restMs: backoffMs(heldUpRests, state.heldUpRests) } }),
  closeGate: (): IdleAction => ({ next: "go on", closesGate: true }),
  sleepUntilPoll: (): IdleAction => ({ next: "until rung", closesGate: true }),
  restBusy: (): IdleAction => ({ next: { restMs: busyRestMs, isUninterruptible: true }, closesGate: true }),
};

const any: readonly Mode[] = ["looking", "settling", "held up", "asleep", "waiting"];
const sleeping: readonly Mode[] = ["asleep", "waiting"];
const always = (): boolean => true;
const isNotListening = (_: IdleState, { isListening }: On<"claimed">) => !isListening;
const isBusy = (_: IdleState, { isBusy: busy }: On<"claimed">) => busy;
const isStaggered = (_: IdleState, { delayMs }: On<"woken">) => delayMs > 0;
const wasSpurious = ({ spuriousAt }: IdleState, { now }: On<"woken">) => now < spuriousAt + spurious.memoryMs;
const isEarly = ({ waitsUntil }: IdleState, { now }: { now: number }) => now < waitsUntil;
const isQuiet = (_: IdleState, { answer }: { answer: Answer }) => answer === "quiet";
const isInterrupted = (_: IdleState, { answer }: { answer: Answer }) => answer === "interrupted";
const hasNoGate = (_: IdleState, { answer }: { answer: Answer }) => answer === "no gate";
const isQuietOrUnknown = (_: IdleState, { answer }: On<"asked">) => answer === "quiet" || answer === "unknown";
const askedWithoutGate = (state: IdleState, { now }: On<"asked">) => to.withoutGate(state, now);
/** The time that a failed opening took counts towards the rest. */
const settledWithoutGate = (state: IdleState, { claimedAt }: On<"settled">) => to.withoutGate(state, claimedAt);
const isWoken = (state: IdleState) => state.isWoken;
const isWokenSpuriously = (state: IdleState, event: On<"settled">) =>
  state.isWoken && state.wasUnproven && isQuiet(state, event);
const hasFound = (_: IdleState, { found }: On<"settled">) => found > 0;

/** By event: the first row that fits the mode and whose condition holds decides. */
const table: { readonly [K in Kind]: readonly Row<K>[] } = {
  woken: [
    [["looking", "held up"], always, to.looking, act.goOn],
    [["settling"], always, to.wokenWhileSettling, act.goOn],
    [sleeping, isStaggered, to.waitingForOthers, act.goOn],
    [sleeping, wasSpurious, to.waitingToProbe, act.goOn],
    [sleeping, always, to.looking, act.goOn],
  ],
  // A worker of a thousand queues is unsure of all of them at once, and asks in one statement.
  unsure: [
    [["settling"], always, to.wokenWhileSettling, act.goOn],
    [sleeping, always, to.unsure, act.goOn],
    [any, always, to.looking, act.goOn],
  ],
  // Only a wake-up leads to a claim without a question, because a claim takes locks and writes.
  step: [
    [["looking", "settling"], always, to.looking, act.claim],
    [["waiting"], isEarly, to.same, act.restUntilTurn],
    [["waiting"], always, to.asking, act.ask],
    [["held up"], always, to.same, act.ask],
    [["asleep"], always, to.same, act.sleep], // rung for a slot that came free
  ],
  asked: [
    [["waiting"], isQuietOrUnknown, to.stillWaiting, act.restUntilTurn], // woken while it asked
    [["held up", "asleep"], isQuietOrUnknown, to.asleep, act.sleep],
    [["held up", ...sleeping], hasNoGate, askedWithoutGate, act.restUntilTurn],
    [["waiting"], isInterrupted, to.same, act.restUntilTurn], // woken while it asked
    [["held up", "asleep"], isInterrupted, to.unsure, act.again],
    [any, always, to.looking, act.claim], // something is ready, or it was woken while it asked
  ],
  claimed: [
    [any, isNotListening, to.awake, act.sleepUntilPoll],
    [any, isBusy, to.awake, act.restBusy],
    [any, always, to.settling, act.settle],
  ],
  settled: [
    // Otherwise notifications that come faster than claims would cause claims without a pause.
    [["settling"], isWokenSpuriously, to.probing, act.restUntilTurn],
    [["settling"], isWoken, to.looking, act.again],
    [["settling"], isQuiet, to.asleep, act.sleep],
    [["settling"], hasNoGate, settledWithoutGate, act.restUntilTurn],
    [["settling"], isInterrupted, to.unsure, act.again],
    [["settling"], hasFound, to.looking, act.again],
    [["settling"], always, to.heldUp, act.restHeldUp],
    [any, always, to.same, act.again], // from a step that hung and that the loop gave up
  ],
  "nothing wanted": [[any, always, to.awake, act.closeGate]],
};

/** The state changes of an event in any mode. */
function note(state: IdleState, event: IdleEvent): IdleState {
  if (event.on === "woken" && event.delayMs <= 0) return { ...state, isUnproven: true };
  if (event.on === "claimed" && event.found > 0) return { ...state, isUnproven: false, heldUpRests: 0 };
  return state;
}

/** The state after an event, and what to do next. Without side effects. */
export function transition<K extends Kind>(state: IdleState, event: On<K>): Transition {
  const noted = note(state, event);
  const rows: readonly Row<K>[] = table[event.on];
  const row = rows.find(([modes, holds]) => modes.includes(noted.mode) && holds(noted, event));
  if (!row) throw new Error(`no row for ${event.on} while ${state.mode}`);
  const [, , becomes, then] = row;
  const after = becomes(noted, event);
  return { state: after, action: then(after, event) };
}
