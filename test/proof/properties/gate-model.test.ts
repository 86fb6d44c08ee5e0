import { expect, test } from "vitest";
import { explore, type ModelOptions, type Omission } from "../../support/gate-model.ts";

const write = ["write", "commit"] as const;
const twice = ["write", "write", "commit"] as const;
const undone = ["write", "undo"] as const;

const worlds: [name: string, world: ModelOptions][] = [
  ["one worker, one producer", { workers: 1, producers: [write] }],
  ["one worker, two producers", { workers: 1, producers: [write, write] }],
  ["one worker, a producer of two statements and one that undoes", { workers: 1, producers: [twice, undone] }],
  ["two workers, two producers", { workers: 2, producers: [write, write] }],
  ["two workers, producers of several statements", { workers: 2, producers: [twice, write] }],
  ["two workers, one of which may be killed", { workers: 2, producers: [write, write], mayDie: true }],
  [
    "two workers, one of which may be killed in its claim of several rows",
    { workers: 2, producers: [twice], mayDie: true },
  ],
  ["a worker whose session may be lost", { workers: 1, producers: [twice, write], mayLoseMark: true }],
];

test.for(worlds)(
  "no order of the gate's steps leaves a ready job to nobody: %s",
  { tags: ["AWAKE-2", "FM-03"] },
  ([, world]) => {
    const { states, lost } = explore(world);
    expect(lost).toBeUndefined();
    expect(states).toBeGreaterThan(30);
  },
);

const twins: Omission[] = [
  "quiesce",
  "mark before list",
  "look before claim",
  "lock until visible",
  "ring before claim",
  "ring before question",
  "see what is locked",
  "keep the mark",
  "word of a loss",
];

test.for(twins)(
  "the protocol without '%s' loses a wake-up, and the explorer finds it",
  { tags: ["AWAKE-2"] },
  (without) => {
    const { lost } = explore({
      workers: without === "see what is locked" ? 2 : 1,
      producers: [write, write],
      mayDie: without === "see what is locked",
      mayLoseMark: without === "word of a loss",
      without,
    });
    expect(lost).toBeDefined();
  },
);
