import { statements } from "@hark/core/internal";
import type * as Product from "@hark/worker/internal";
import fc, { type Scheduler } from "fast-check";
import { type Client, Network, noFaults, type Rates } from "./network.ts";
import { graceMs, jobOf, type Kind, kinds, Process, queues } from "./process.ts";
import type { Server } from "./server.ts";
import { broken, Witness } from "./witness.ts";
import { World } from "./world.ts";

/** What happens to the workers of a run, besides what the network does. */
export interface Fault {
  readonly kind:
    | "kill" | "drain" | "stop now" | "freeze" | "block" | "cut" | "cut all" | "listener" | "gate" | "cancel" | "forge" | "start"; // prettier-ignore
  readonly atMs: number;
  readonly lastsMs: number;
  /** Whom it strikes, counted round. */
  readonly whom: number;
}

export interface Plan {
  readonly seed: number;
  readonly workers: number;
  readonly concurrency: number;
  readonly leaseMs: number;
  readonly latencyMs: number;
  /** Workers claim by types. */
  readonly isCrowded: boolean;
  readonly rates: Rates;
  readonly jobs: readonly {
    readonly kind: Kind;
    readonly queue: (typeof queues)[number];
    readonly key: string | undefined;
    readonly atMs: number;
    readonly delayMs: number;
    readonly commitMs: number;
    readonly priority: number;
  }[];
  readonly faults: readonly Fault[];
}

/** Faults come for so long, in ms; then there are none. */
const stormMs = 12_000;

/**
 * Longest time for all jobs to end once there are no more faults, in ms: a step that hung (30 s),
 * the lease of the dead (10 s), two surveys for a claim that was never answered (20 s), a suspect's
 * wait to be alone (60 s), and what the jobs themselves take.
 */
const longestCalmMs = 150_000;

/**
 * Longest until no worker holds anything once all jobs have ended, in ms: the longest standstill,
 * and an answer's deadline or so.
 */
const longestIdlingMs = 40_000;

const rate = (...rates: number[]) => fc.constantFrom(0, ...rates);

export const plans: fc.Arbitrary<Plan> = fc.record({
  seed: fc.noShrink(fc.nat(2 ** 31 - 1)),
  workers: fc.integer({ min: 1, max: 3 }),
  concurrency: fc.integer({ min: 1, max: 4 }),
  leaseMs: fc.constantFrom(3_000, 1_000, 6_000, 10_000),
  latencyMs: fc.constantFrom(1, 4, 40),
  isCrowded: fc.boolean(),
  rates: fc.record({
    refused: rate(0.02, 0.1),
    lost: rate(0.02, 0.1, 0.3),
    silent: rate(0.01, 0.05),
    slow: rate(0.02, 0.1),
    twice: rate(0.02, 0.1),
    unheard: rate(0.1, 0.5),
    heardTwice: rate(0.1),
  }),
  jobs: fc.array(
    fc.record({
      kind: fc.constantFrom(...kinds),
      queue: fc.constantFrom(...queues),
      key: fc.constantFrom(undefined, undefined, "k", "l"),
      atMs: fc.nat(stormMs),
      delayMs: fc.constantFrom(0, 0, 0, 500, 3_000),
      commitMs: fc.constantFrom(1, 1, 20, 1_000),
      priority: fc.constantFrom(0, 0, 1),
    }),
    { minLength: 1, maxLength: 14, size: "max" },
  ),
  faults: fc.array(
    fc.record({
      kind: fc.constantFrom(
        "kill", "drain", "stop now", "freeze", "block", "cut", "cut all", "listener", "gate", "cancel", "forge", "start",
      ), // prettier-ignore
      atMs: fc.nat(stormMs),
      lastsMs: fc.constantFrom(100, 1_000, 4_000, 11_000),
      whom: fc.nat(13),
    }),
    { maxLength: 6, size: "max" },
  ),
}) as fc.Arbitrary<Plan>;

export interface Seen {
  runs: number;
  told: number;
  rescued: number;
  handedBack: number;
  happenedMs: number;
}

/**
 * Lives a plan through. Throws at the first promise that is broken; `story` then tells what came
 * before.
 */
export async function simulate(
  plan: Plan,
  order: Scheduler,
  product: typeof Product,
  { server, client }: { server: Server; client?: Client | undefined },
  story: string[] = [],
): Promise<Seen> {
  const world = new World(plan.seed, order, story);
  const network = new Network(world, server, { ...plan, client });
  const witness = new Witness(world, () => server.rows, { graceMs });
  await server.begin({
    now: () => world.now,
    notified: (channel, payload) => network.notify(channel, payload),
    ended: (claim) => witness.moved(claim),
  });
  const processes: Process[] = [];
  const start = () => {
    const parts = { world, network, witness, product, settings: plan, onEndedAtStart: start };
    processes.push(new Process(`w${processes.length + 1}`, parts));
  };
  for (let count = 0; count < plan.workers; count += 1) start();

  let left = plan.jobs.length;
  /** By their places in the plan. */
  const ids: bigint[] = [];
  for (const [place, job] of plan.jobs.entries()) world.in(job.atMs, "enqueue", () => enqueue(place, job));
  for (const fault of plan.faults) world.in(fault.atMs, fault.kind, () => strike(fault));

  /** A transaction that inserts at one moment and commits at another, as producers' do. */
  function enqueue(place: number, { queue, kind, priority, key, delayMs, commitMs }: Plan["jobs"][number]): void {
    world.standStill(async () => {
      const session = await server.connect();
      await session.execute({ text: "begin", values: [] });
      const { type, maxAttempts } = jobOf(queue, kind);
      const job = {
        type,
        queue,
        payloadJson: "{}",
        priority,
        maxAttempts,
        key,
        uniqueKey: undefined,
        runAt: undefined,
      };
      const jobs = statements.jobsJson([{ ...job, delayMs }]);
      const [inserted] = await statements.insertJobs({ query: (query) => session.execute(query) }, { jobs });
      ids[place] = inserted!.id;
      world.in(commitMs, "commit", () =>
        world.standStill(async () => {
          await session.execute({ text: "commit", values: [] });
          await session.end();
          witness.acknowledged.add(inserted!.id);
          left -= 1;
        }),
      );
    });
  }

  function strike({ kind, lastsMs, whom }: Fault): void {
    const living = processes.filter(({ isOver }) => !isOver);
    const process = living[whom % living.length];
    const id = ids[whom % plan.jobs.length] ?? 0n;
    world.tell(`${kind} ${process?.name} for ${lastsMs} ms`);
    switch (kind) {
      case "start":
        return start();
      case "cancel":
        return world.standStill(async () => {
          await statements.cancelJob({ query: (query) => server.execute(query) }, { id });
        });
      case "forge":
        for (const [channel, payload] of [
          ["job_ready", "a"],
          ["job_ready", "b 1 7"],
          ["job_scheduled", "0"],
          ["job_cancelled", String(id)],
        ] as const)
          network.notify(channel, payload);
        return;
      case "cut all":
        for (const { main, name } of processes)
          for (const thread of [main.name, `${name} lease`]) network.cutUntil.set(thread, world.now + lastsMs);
        return;
      default:
    }
    if (!process) return;
    switch (kind) {
      case "kill":
        return process.kill();
      case "drain":
        return process.stop("drain");
      case "stop now":
        return process.stop("now");
      case "freeze":
        return process.freeze("process", lastsMs);
      case "block":
        return process.freeze("event loop", lastsMs);
      case "cut":
        for (const thread of whom % 2 ? [process.name, `${process.name} lease`] : [`${process.name} lease`])
          network.cutUntil.set(thread, world.now + lastsMs);
        return;
      case "listener":
        for (const listener of [...network.listeners])
          if (listener.thread === process.main) listener.thread.run(() => listener.cut());
        return;
      case "gate":
        for (const gate of [...network.gates]) if (gate.thread === process.main) gate.cut();
        return;
      default:
        kind satisfies never;
    }
  }

  const look = () => {
    witness.look();
    for (const process of processes) process.look();
  };
  await world.goOn({ at: stormMs, look });
  network.rates = noFaults;
  network.cutUntil.clear();
  if (processes.every(({ isAsked }) => isAsked)) start();
  const unfinished = () => [...server.rows.in("jobs"), ...server.rows.in("running_jobs")];
  const isDone = () => left === 0 && unfinished().length === 0;
  await world.goOn({ at: world.now + longestCalmMs, isOver: isDone, look });
  if (!isDone()) {
    const places = unfinished().map(({ id }) => `${String(id)} ${server.rows.placesOf(id).join()}`);
    broken(`${longestCalmMs} ms without a fault, and jobs are left: ${places.join(", ")}`);
  }
  // A worker that stood still goes on first, and hears that its outcome is refused.
  const isIdle = () => processes.every(({ activeJobs }) => activeJobs === 0);
  await world.goOn({ at: world.now + longestIdlingMs, isOver: isIdle, look });
  for (const { name, activeJobs } of processes)
    if (activeJobs > 0) broken(`all jobs have ended, and ${name} still holds ${activeJobs} of them`);
  for (const process of processes) process.stop("drain");
  await world.goOn({ at: world.now + 120_000, isOver: () => processes.every(({ isOver }) => isOver), look });
  await world.goOn({ at: world.now + 100, look });
  witness.lookBack();
  return { ...witness.seen, happenedMs: world.now };
}
