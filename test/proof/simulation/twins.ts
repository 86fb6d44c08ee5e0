import { isRejection } from "@hark/core/internal";
import { lacking, type TextSeam, without, withSeams } from "../../support/seams.ts";
import { fileOf } from "../campaigns/sabotage/exports.ts";
import { type Client, noFaults } from "./network.ts";
import type { Kind } from "./process.ts";
import type { Plan } from "./simulate.ts";

/**
 * A product from which one guard was taken out, that the simulation must tell from the real one.
 */
export interface Twin {
  /** What it does wrong. */
  readonly name: string;
  /** Other methods for some of the worker's. */
  readonly methods?: readonly MethodSeam[];
  /** What stands between the worker and its connections. */
  readonly client?: Client;
  /** A change of the schema. */
  readonly database?: string;
  /** What the simulation says of it. */
  readonly says: RegExp;
  /**
   * Makes worlds in which it has a chance to show, if one in a hundred of the others is too few.
   */
  readonly bent?: (plan: Plan) => Plan;
}

type Method = (...given: any[]) => any;

interface MethodSeam {
  readonly name: `${string}.${string}`;
  readonly replace: (original: Method) => Method;
}

const method = (name: MethodSeam["name"], replace: MethodSeam["replace"]): MethodSeam => ({ name, replace });

/**
 * Puts the methods in the place of the worker's own, until it is disposed of. Throws if one is not
 * there.
 */
export async function replaceMethods(seams: readonly MethodSeam[]): Promise<Disposable> {
  const undo: (() => void)[] = [];
  for (const { name, replace } of seams) {
    const [className = "", methodName = ""] = name.split(".");
    const file = (await import(fileOf({ package: "worker", export: className }))) as Record<string, { prototype: any }>;
    const { prototype } = file[className]!;
    const own = prototype[methodName] as Method | undefined;
    if (own === undefined) throw new Error(`the seam does not fit: ${className} has no method ${methodName}`);
    prototype[methodName] = replace(own);
    undo.push(() => (prototype[methodName] = own));
  }
  return { [Symbol.dispose]: () => undo.toReversed().forEach((each) => each()) };
}

const changed =
  (...seams: TextSeam[]): Client =>
  (connections) =>
    withSeams(connections, seams);

/** Or the question whether a claim stands would find most of what these do wrong, 2 ms later. */
const confirmsNothing = method("ClaimConfirmer.add", () => () => {});

const all = (kind: Kind, { jobs }: Plan): Plan["jobs"] => jobs.map((job) => ({ ...job, kind }));

/**
 * The answers to claims are slow, and meet processes that stand still until their lease is over.
 */
const standStill = (plan: Plan): Plan => ({
  ...plan,
  workers: 2,
  leaseMs: 1_000,
  latencyMs: 200,
  rates: noFaults,
  jobs: all("long", plan),
  faults: plan.jobs.map(({ atMs, delayMs, commitMs }, place) => ({
    kind: "freeze",
    atMs: atMs + delayMs + commitMs + 300,
    lastsMs: 2_500,
    whom: place,
  })),
});

/** Some answers take seconds, perhaps until the claim they tell of was looked for in the tables. */
const answerLate = (plan: Plan): Plan => ({
  ...plan,
  workers: 2,
  leaseMs: 3_000,
  latencyMs: 1,
  rates: { ...noFaults, slow: 0.2 },
  jobs: all("ignoresSignal", plan),
  faults: [],
});

/** Leases run out, since the threads that renew them are cut off. */
const cannotRenew = (plan: Plan): Plan => ({
  ...plan,
  workers: 3,
  leaseMs: 1_000,
  faults: plan.jobs.map(({ atMs }, place) => ({ kind: "cut", atMs, lastsMs: 4_000, whom: 2 * place })),
});

/** Jobs run for longer than a lease, which runs out while their process stands still. */
const outlastLeases = (plan: Plan): Plan => ({
  ...plan,
  workers: 2,
  leaseMs: 1_000,
  rates: { ...noFaults, slow: 0.3 },
  jobs: all("long", plan),
  faults: plan.jobs.map(({ atMs }, place) => ({ kind: "freeze", atMs, lastsMs: 4_000, whom: place })),
});

export const twins: readonly Twin[] = [
  {
    name: "takes an outcome whose answer was lost for refused, and does not ask again",
    client: (connections) => ({
      query: (asked) =>
        connections.query(asked).catch((error: unknown) => {
          if (!/^(complete|retry|bury)-/.test(asked.name ?? "") || isRejection(error)) throw error;
          return { rows: [] };
        }),
    }),
    says: /and jobs are left|was handed back, but/,
  },
  {
    name: "hands nothing back when it stops",
    methods: [
      method("Attempt.settle", (original) => {
        return function settle(this: object, ending: { kind: string }) {
          if (ending.kind !== "interrupted") original.call(this, ending);
        };
      }),
    ],
    says: /still holds|and jobs are left/,
  },
  {
    name: "tells no handler that the lease is lost",
    methods: [
      method("Attempt.abort", (original) => {
        return function abort(this: object, reason: { code: string }) {
          if (reason.code !== "LEASE_LOST") original.call(this, reason);
        };
      }),
    ],
    says: /was not told to stop/,
    bent: cannotRenew,
  },
  {
    name: "keeps the slot of a job whose outcome was refused",
    methods: [
      method("Settler.settle", (original) => {
        return function settle(this: object, claim: unknown, outcome: unknown, done: (settlement: string) => void) {
          original.call(this, claim, outcome, (settlement: string) => settlement === "settled" && done(settlement));
        };
      }),
    ],
    says: /still holds/,
  },
  {
    name: "hands back claims whose answer is on its way",
    methods: [method("PendingClaims.has", () => () => false), confirmsNothing],
    says: /was not told to stop/,
    bent: answerLate,
  },
  {
    name: "starts what was claimed under a lease that is lost, before it hears of the loss",
    methods: [method("LeaseKeeper.isHeld", () => () => true), confirmsNothing],
    says: /was not told to stop/,
    bent: standStill,
  },
  {
    name: "forgets claims that were never answered",
    methods: [method("ForgottenClaims.release", () => () => Promise.resolve())],
    says: /and jobs are left/,
  },
  {
    name: "uses up an attempt of what it hands back unheard",
    methods: [
      method("ForgottenClaims.release", (original) => {
        return function release(this: object, mine: readonly { attempt: number }[]) {
          return original.call(
            this,
            mine.map((claim) => ({ ...claim, attempt: claim.attempt + 1 })),
          );
        };
      }),
    ],
    says: /went back after interrupted/,
  },
  {
    name: "runs more than its slots",
    methods: [method("Slots.run", () => (job: { run(): Promise<unknown> }) => job.run())],
    says: /at once/,
  },
  {
    name: "completes what another claim holds",
    client: changed(lacking("complete-jobs", "and token = ", "and worker is distinct from ")),
    says: /was completed, but its handler/,
    bent: outlastLeases,
  },
  {
    name: "uses up an attempt of every job that goes back",
    client: changed(lacking("retry-jobs", "priority, counted_attempt", "priority, attempt")),
    says: /went back after (interrupted|snoozed)/,
  },
  {
    name: "loses what is to be tried later",
    client: changed(lacking("retry-jobs", "from tried order by id", "from tried where delay_ms = 0")),
    says: /is in 0 places/,
  },
  {
    name: "rescues the jobs of workers that live",
    client: changed(lacking("rescue-jobs", "workers.id = job.worker and dead_at is null", "false")),
    says: /was rescued from a worker that lives/,
  },
  {
    name: "claims a key that runs",
    client: changed(
      {
        statement: /^claim-(contended|hindered)-jobs(-by-type)?$/,
        sql: without("on conflict (queue, key) where key is not null do nothing"),
      },
      {
        statement: /^(settle-and-)?claim-(contended-)?jobs(-by-type)?$/,
        sql: without("held.queue = jobs.queue and held.key = jobs.key limit 1", "false limit 1"),
      },
      // By types it stands there twice.
      lacking(
        "claim-contended-jobs-by-type",
        "held.queue = jobs.queue and held.key = jobs.key limit 1",
        "false limit 1",
      ),
    ),
    database: "drop index hark.running_jobs_key",
    says: /was not told to stop/,
  },
  {
    name: "hands no key on",
    client: changed(
      lacking("unpark-jobs", "set state = 'ready'", "set state = 'parked'"),
      lacking("complete-and-claim-next", "where settled.hands_off", "where false"),
    ),
    database: "drop trigger running_jobs_hand_off on hark.running_jobs",
    says: /and jobs are left: .*parked/,
  },
];
