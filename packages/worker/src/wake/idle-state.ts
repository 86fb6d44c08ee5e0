import type { Next } from "../runtime/loop.ts";

/** The whole state that decides when to look for jobs. Times are by performance.now(). */
export interface IdleState {
  readonly mode: Mode;
  /** In the mode "waiting": when to ask. */
  readonly waitsUntil: number;
  /** A wake-up asked for a claim at once, and nothing was found since. */
  readonly isUnproven: boolean;
  /**
   * In the mode "settling": isUnproven as it was after the claim, and whether it was woken since.
   */
  readonly wasUnproven: boolean;
  readonly isWoken: boolean;
  /** When it last went back to sleep after a wake-up that led to no job. */
  readonly spuriousAt: number;
  /** Rests in a row in the mode "held up". */
  readonly heldUpRests: number;
}

/**
 * - looking: the next step claims.
 * - settling: after a claim that left nothing free, on the way to sleep.
 * - held up: something is ready that no claim gets. The next step asks whether it still is.
 * - asleep: nothing is ready, and whatever comes is announced, or found by the poll.
 * - waiting: asks at `waitsUntil` before it claims: at the start, after something may have been
 *   missed, because others go first, because the last wake-up was spurious, or because the gate
 *   could not be opened.
 */
export type Mode = "looking" | "settling" | "held up" | "asleep" | "waiting";

/**
 * "quiet": nothing is ready, and whatever comes will be announced, or nothing is announced at the
 * moment. "ready": something is, or may be. "no gate": nothing is ready, but whatever comes will
 * not be announced although notifications arrive. "interrupted": nothing is ready, but it could not
 * make sure that whatever comes is announced, most likely because of a long transaction. "unknown":
 * the question failed.
 */
export type Answer = "quiet" | "ready" | "no gate" | "interrupted" | "unknown";

export type IdleEvent =
  /** Jobs may be ready. Other workers go first for `delayMs`. */
  | { readonly on: "woken"; readonly now: number; readonly delayMs: number }
  /** Something may have been missed, in any of the queues. */
  | { readonly on: "unsure"; readonly now: number }
  /** The loop's next step begins. */
  | { readonly on: "step"; readonly now: number }
  /** The step asked whether anything is ready. */
  | { readonly on: "asked"; readonly now: number; readonly answer: Answer }
  /** A claim found `found` jobs, and left no free job. */
  | {
      readonly on: "claimed";
      readonly now: number;
      readonly found: number;
      readonly isListening: boolean;
      readonly isBusy: boolean;
    }
  /** After such a claim it tried to go to sleep. */
  | {
      readonly on: "settled";
      readonly now: number;
      readonly found: number;
      readonly claimedAt: number;
      readonly answer: Exclude<Answer, "unknown">;
    }
  /** It can take no job now, or it stops. */
  | { readonly on: "nothing wanted" };

/**
 * What the loop does next. "claim"; "ask" whether anything is ready, which leads to "asked";
 * "settle", which leads to "settled"; "go on", which means nothing to do now; or a rest.
 */
export interface IdleAction {
  readonly next: "claim" | "ask" | "settle" | "go on" | Next;
  /** It looks without notifications, so producers need not notify. */
  readonly closesGate?: true;
}

export interface Transition {
  readonly state: IdleState;
  readonly action: IdleAction;
}

export const firstState: IdleState = {
  mode: "waiting",
  waitsUntil: Number.NEGATIVE_INFINITY,
  isUnproven: false,
  wasUnproven: false,
  isWoken: false,
  spuriousAt: Number.NEGATIVE_INFINITY,
  heldUpRests: 0,
};
