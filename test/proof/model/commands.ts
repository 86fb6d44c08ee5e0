import { randomUUID } from "node:crypto";
import type { Backoff, Database, Queryable } from "@hark/core";
import { decideOutcome, type Ending, statements } from "@hark/core/internal";
import fc from "fast-check";
import { expect } from "vitest";
import { registerWorker } from "../../support/jobs.ts";
import { expireLease, makeDue } from "../../support/pass-time.ts";
import { placesOf } from "../../support/places.ts";
import type { Grant, ModelJob, QueueModel, Way } from "./model.ts";

/** The database under test. */
export interface Real {
  readonly db: Database;
  /** Runs the product's statements, or what a twin makes of them. */
  readonly on: Queryable;
  /** How often each command ran. */
  readonly ran: Map<string, number>;
}

export type Command = fc.AsyncCommand<QueueModel, Real>;

const queue = "model";
const types = ["test.plain", "test.other"];
const hour = 3_600_000;
/** An hour at every attempt: what is to be due later is not while the test runs. */
const backoff: Backoff = { baseMs: hour, factor: 1, capMs: hour, jitter: 0 };

/**
 * A command that compares the whole database with the model after it. `may` is asked of the model
 * alone.
 */
function command(
  name: string,
  run: (model: QueueModel, real: Real) => Promise<void>,
  may: (model: Readonly<QueueModel>) => boolean = () => true,
): Command {
  return {
    check: (model) => may(model),
    async run(model, real) {
      const kind = name.slice(0, name.indexOf("("));
      real.ran.set(kind, (real.ran.get(kind) ?? 0) + 1);
      await run(model, real);
      expect(await placesOf(real.db)).toEqual(model.places());
    },
    toString: () => name,
  };
}

const some = fc.nat({ max: 999 });
const pick = <Item>(items: readonly Item[], place: number): Item => items[place % items.length] as Item;
const anyWorker = (model: QueueModel, place: number) => pick([...model.workers.keys()], place);
const hasWorkers = ({ workers }: Readonly<QueueModel>) => workers.size > 0;
const hasJobs = ({ jobs }: Readonly<QueueModel>) => jobs.size > 0;
const hasGrants = ({ grants }: Readonly<QueueModel>) => grants.length > 0;
const anyJob = ({ jobs }: QueueModel, place: number) => pick([...jobs.keys()], place);
/** Claims of different jobs, mostly of late. Some are over. */
function anyGrants({ grants }: QueueModel, places: readonly number[]): Grant[] {
  const recent = grants.slice(-12);
  return [...new Map(places.map((place) => pick(recent, place)).map((grant) => [grant.id, grant])).values()];
}

const ids = (rows: readonly { id: bigint }[]) => rows.map(({ id }) => id).toSorted(ascending);
const byId = (one: { id: bigint }, other: { id: bigint }) => ascending(one.id, other.id);
const ascending = (one: bigint, other: bigint) => Number(one - other);

const drawnJob = fc.record({
  type: fc.constantFrom(...types),
  priority: fc.integer({ min: -1, max: 1 }),
  maxAttempts: fc.integer({ min: 1, max: 4 }),
  key: fc.option(fc.constantFrom("a", "b"), { nil: undefined }),
  uniqueKey: fc.option(fc.constantFrom("u", "v"), { nil: undefined }),
  isDue: fc.boolean(),
});

/** One job, or several in one statement. */
const enqueue = (kind: string, most: number) =>
  fc.array(drawnJob, { minLength: 1, maxLength: most }).map((jobs) =>
    command(`${kind}(${JSON.stringify(jobs)})`, async (model, { on }) => {
      const wanted = jobs.map(({ isDue, ...job }) => {
        const delayMs = isDue ? undefined : hour;
        return { ...job, queue, payloadJson: "{}", runAt: undefined, delayMs };
      });
      const holders = new Map(["u", "v"].map((uniqueKey) => [uniqueKey, model.holderOf(uniqueKey)?.id]));
      const answers = await statements.insertJobs(on, { jobs: statements.jobsJson(wanted) });
      const inserted = jobs.flatMap((job, place) => {
        const answer = answers[place]!;
        const holder = job.uniqueKey === undefined ? undefined : holders.get(job.uniqueKey);
        if (holder !== undefined) expect(answer).toEqual({ id: holder, status: "duplicate" });
        else expect(answer.status).toBe("inserted");
        if (job.uniqueKey !== undefined) holders.set(job.uniqueKey, answer.id);
        return holder === undefined ? { ...job, id: answer.id } : [];
      });
      model.insert(inserted);
    }),
  );

const arrive = fc.constant(
  command(
    "arrive()",
    async (model, { db }) => void model.workers.set(await registerWorker(db), "alive"),
    ({ workers }) => workers.size < 5,
  ),
);

const claim = fc
  .tuple(some, fc.integer({ min: 1, max: 3 }), fc.constantFrom("usual", "mayDefer", "isContended", "isHindered"))
  .map(([place, limit, how]) =>
    command(
      `${how === "isHindered" ? "claimHindered" : "claim"}(worker ${place}, limit ${limit}, ${how})`,
      async (model, { on }) => {
        const request = { queue, types, limit, worker: anyWorker(model, place), token: randomUUID() };
        const answer = await statements.claimJobs(on, how === "usual" ? request : { ...request, [how]: true });
        const isDeferred = how === "mayDefer" && model.isPlain(request.worker, limit);
        const isHindered = how === "isHindered";
        const { claimed, blockedKeys } = model.claim(request.worker, request.token, limit, { isHindered });
        expect(answer.jobs.map(told)).toEqual(claimed.map(told));
        expect(answer.isDeferred).toBe(isDeferred);
        expect(answer.blockedKeys.toSorted()).toEqual(isDeferred ? [] : blockedKeys);
      },
      hasWorkers,
    ),
  );

/** What a claim must say of each job. */
const told = ({ id, handsOff }: Pick<ModelJob, "id" | "handsOff">) => ({ id, handsOff });

/** As where jobs of other types crowd the head of the queue. */
const claimByType = fc
  .tuple(some, fc.integer({ min: 1, max: 3 }), fc.boolean(), fc.subarray(types, { minLength: 1 }))
  .map(([place, limit, mayDefer, own]) =>
    command(
      `claimByType(worker ${place}, limit ${limit}, ${own.join()}${mayDefer ? ", may defer" : ""})`,
      async (model, { on }) => {
        const request = { queue, types: own, limit, worker: anyWorker(model, place), token: randomUUID(), mayDefer };
        const answer = await statements.claimJobsByType(on, request);
        const isDeferred = mayDefer && model.isPlain(request.worker, limit, own);
        const { claimed, blockedKeys } = model.claim(request.worker, request.token, limit, { types: own });
        expect(answer.jobs.map(told)).toEqual(claimed.map(told));
        expect(answer.isDeferred).toBe(isDeferred);
        expect(answer.blockedKeys.toSorted()).toEqual(isDeferred ? [] : blockedKeys);
      },
      hasWorkers,
    ),
  );

/** One statement, in which what is settled still stands in the claim's way. */
const settleAndClaim = fc.tuple(some, fc.array(some, { minLength: 1, maxLength: 3 })).map(([place, places]) =>
  command(
    `settleAndClaim(worker ${place}, grants ${places.join()})`,
    async (model, { on }) => {
      const grants = anyGrants(model, places);
      const lost = grants.filter((grant) => !model.heldBy(grant));
      const request = { queue, types, limit: 2, worker: anyWorker(model, place), token: randomUUID() };
      const answer = await statements.claimJobs(on, request, completionsOf(grants));
      const { claimed } = model.claim(request.worker, request.token, 2);
      model.settle(grants, { kind: "completed" });
      expect(answer.jobs.map(told)).toEqual(claimed.map(told));
      expect([...answer.refused].toSorted(ascending)).toEqual(ids(lost));
    },
    (model) => hasWorkers(model) && hasGrants(model),
  ),
);

/** One statement, in which the next of the keys that are freed are claimed. */
const settleAndNext = fc.tuple(some, fc.array(some, { minLength: 1, maxLength: 3 })).map(([place, places]) =>
  command(
    `settleAndNext(worker ${place}, grants ${places.join()})`,
    async (model, { on }) => {
      const grants = anyGrants(model, places);
      const request = { worker: anyWorker(model, place), token: randomUUID(), types };
      const answer = await statements.completeAndClaimNext(on, { ...completionsOf(grants), ...request });
      const { settled, claimed } = model.settleAndNext(grants, request.worker, request.token);
      expect(ids(answer.settled)).toEqual(settled.toSorted(ascending));
      expect(answer.claimed.map(told).toSorted(byId)).toEqual(claimed.map(told).toSorted(byId));
    },
    (model) => hasWorkers(model) && hasGrants(model),
  ),
);

const beginSome = fc.array(some, { minLength: 1, maxLength: 3 }).map((places) =>
  command(
    `begin(grants ${places.join()})`,
    async (model, { on }) => {
      const grants = anyGrants(model, places);
      const request = { ids: grants.map(({ id }) => id), tokens: grants.map(({ token }) => token) };
      const begun = await statements.beginJobs(on, request);
      expect(begun.map(({ id }) => id).toSorted(ascending)).toEqual(model.begin(grants).toSorted(ascending));
    },
    hasGrants,
  ),
);

const park = fc
  .subarray(["a", "b"], { minLength: 1 })
  .map((keys) =>
    command(`park(${keys.join()})`, async (model, { on }) =>
      expect(await statements.parkBlocked(on, { queue, keys })).toBe(model.park(keys)),
    ),
  );

const unpark = fc.constant(
  command("unpark()", async (model, { on }) =>
    expect(await statements.unparkJobs(on, { ...statements.firstKey, limit: 10 })).toEqual([
      { unparked: model.unpark(), waiting: 0, cursor: undefined },
    ]),
  ),
);

const ways = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Way>({ kind: "completed" }) },
  { weight: 3, arbitrary: fc.constantFrom<Way>({ kind: "fatal" }, { kind: "interrupted" }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom("error" as const, "retry_after" as const, "snoozed" as const),
      isDue: fc.boolean(),
    }),
  },
);

/**
 * Settles, fails, snoozes or hands back, as the worker does: the outcome is decided once, and
 * written by its statement.
 */
const end = fc.tuple(fc.array(some, { minLength: 1, maxLength: 3 }), ways).map(([places, drawn]) => {
  // The backoff is never nothing, so a plain error is due at once by no choice.
  const way: Way = drawn.kind === "error" ? { kind: "error", isDue: false } : drawn;
  return command(
    `end(${JSON.stringify(way)}, grants ${places.join()})`,
    async (model, { on }) => {
      const grants = anyGrants(model, places);
      const moved: bigint[] = [];
      for (const grant of grants) moved.push(...ids(await write(on, grant, model.jobs.get(grant.id)!, way)));
      expect(moved).toEqual(model.settle(grants, way));
    },
    hasGrants,
  );
});

function write(on: Queryable, grant: Grant, job: ModelJob, way: Way): Promise<readonly { id: bigint }[]> {
  const { id, token, attempt } = grant;
  const tried = { attempt, maxAttempts: job.maxAttempts, crashCount: 0 };
  const outcome = decideOutcome(tried, endingOf(way), backoff);
  switch (outcome.state) {
    case "completed":
      return statements.completeJobs(on, completionsOf([grant]));
    case "scheduled":
      return statements.retryJobs(on, statements.retriedOf([{ id, token, ...outcome }]));
    case "dead":
      return statements.buryJobs(on, statements.buriedOf([{ id, token, ...outcome }]));
    case "cancelled":
      throw new Error("nothing here ends so");
    default:
      return outcome satisfies never;
  }
}

function endingOf(way: Way): Ending {
  const error = new Error("boom");
  switch (way.kind) {
    case "completed":
      return { kind: way.kind, resultJson: null };
    case "fatal":
      return { kind: way.kind, error, reason: "unrecoverable" };
    case "interrupted":
      return { kind: way.kind };
    case "snoozed":
      return { kind: way.kind, delayMs: way.isDue ? 0 : hour };
    case "retry_after":
      return { kind: way.kind, error, delayMs: way.isDue ? 0 : hour };
    case "error":
      return { kind: way.kind, error };
    default:
      return way satisfies never;
  }
}

const completionsOf = (grants: readonly Grant[]) =>
  statements.completionsOf(grants.map(({ id, token }) => ({ id, token, resultJson: null })));

const promote = some.map((place) =>
  command(
    `promote(scheduled ${place})`,
    async (model, { db, on }) => {
      const job = pick(model.of("scheduled"), place);
      await makeDue(db, job.id);
      const [answer] = await statements.promoteJobs(on, { limit: 10, afterMs: Number.NEGATIVE_INFINITY });
      expect(answer!.promoted).toBe(1);
      job.state = "ready";
    },
    (model) => model.of("scheduled").length > 0,
  ),
);

const cancel = some.map((place) =>
  command(
    `cancel(job ${place})`,
    async (model, { on }) => {
      const id = anyJob(model, place);
      const answer = await statements.cancelJob(on, { id });
      const wasIn = model.cancel(id);
      expect(answer).toEqual(wasIn === undefined ? [] : [{ wasIn }]);
    },
    hasJobs,
  ),
);

const requeue = some.map((place) =>
  command(
    `requeue(dead ${place})`,
    async (model, { on }) => {
      const { id } = pick(model.of("dead"), place);
      const [answer] = await statements.requeueJobs(on, { ids: [id] });
      expect(answer!.isRequeued).toBe(model.requeue(id));
    },
    (model) => model.of("dead").length > 0,
  ),
);

const renew = some.map((place) =>
  command(
    `renew(worker ${place})`,
    async (model, { on }) => {
      const worker = anyWorker(model, place);
      const renewed = await statements.renewLease(on, { id: worker, leaseMs: hour, knownFleet: "" });
      expect(renewed).toHaveLength(model.workers.get(worker) === "alive" ? 1 : 0);
    },
    hasWorkers,
  ),
);

const expire = some.map((place) =>
  command(
    `expire(worker ${place})`,
    async (model, { db }) => {
      const worker = anyWorker(model, place);
      await expireLease(db, worker);
      if (model.workers.get(worker) === "alive") model.workers.set(worker, "expired");
    },
    hasWorkers,
  ),
);

const certify = fc.constant(
  command("certify()", async (model, { on }) => {
    const died = await statements.certifyDeaths(on, {});
    const expired = [...model.workers].flatMap(([worker, state]) => (state === "expired" ? worker : []));
    for (const worker of expired) model.workers.set(worker, "dead");
    expect(died.map(({ id }) => id).toSorted()).toEqual(expired.toSorted());
  }),
);

const rescue = fc
  .integer({ min: 1, max: 4 })
  .map((limit) =>
    command(`rescue(${limit})`, async (model, { on }) =>
      expect(await statements.rescueJobs(on, { limit })).toEqual([{ rescued: model.rescue(limit) }]),
    ),
  );

/** Every command, the frequent ones more than once. */
export const commands = [
  enqueue("enqueue", 1),
  enqueue("enqueue", 1),
  enqueue("enqueueMany", 4),
  arrive,
  claim,
  claim,
  claim,
  claim,
  claimByType,
  claimByType,
  settleAndClaim,
  settleAndNext,
  beginSome,
  beginSome,
  park,
  unpark,
  end,
  end,
  promote,
  cancel,
  requeue,
  renew,
  expire,
  certify,
  rescue,
];
