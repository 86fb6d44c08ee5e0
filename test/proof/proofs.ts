/** A proof of the engine: something that is run after a change of the parts it covers. */
export interface Proof {
  readonly name: string;
  readonly proves: string;
  /**
   * Files and folders. After a change in one of them, run the proof before the change is merged.
   */
  readonly after: readonly string[];
  /** How long it takes on two idle cores, rounded up. */
  readonly minutes: number;
  readonly runs: readonly (Tests | Program)[];
  /** Part of other proofs, so it is left out where all proofs are run. */
  readonly isExcerpt?: true;
}

/** Test files of the vitest project `proof`, or folders of them. */
export interface Tests {
  readonly tests: readonly string[];
  /** Set unless the caller has set them. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** A program in a Node process of its own. */
export interface Program {
  readonly program: string;
  /** Always given, before the others. */
  readonly fixed?: readonly string[];
  /** Given unless the caller gives others. */
  readonly usual: readonly string[];
}

const campaigns = "test/proof/campaigns/main.ts";

/** Fault tests that end in seconds, with the same steps each time. */
const quickFaults = [
  "claim-answer-lost",
  "claim-answered-late",
  "claim-undone",
  "failed-connection",
  "gate",
  "listener-tls",
  "notification-lost",
  "ready-while-locked",
  "same-name",
  "throwing-logger",
].map((name) => `test/proof/faults/${name}.test.ts`);

/** All proofs, from those that are quick to run to those that take hours. */
export const proofs: readonly Proof[] = [
  {
    name: "quick",
    proves: "the part of the other proofs that ends in minutes and has fixed seeds; `.ci/run` runs it",
    after: ["packages"],
    minutes: 4,
    isExcerpt: true,
    runs: [
      {
        tests: [
          "test/proof/interleavings",
          "test/proof/simulation/simulation.test.ts",
          "test/proof/simulation/lease.test.ts",
          "test/proof/model",
          "test/proof/properties",
          "test/proof/campaigns/checker",
          "test/proof/keys",
          "test/proof/settings/settings.test.ts",
          "test/proof/strangers",
          ...quickFaults,
        ],
        environment: { TEST_SEED: "1", SIMULATION_RUNS: "80", MODEL_RUNS: "120" },
      },
    ],
  },
  {
    name: "settings",
    proves: "jobs reach every state under other people's settings: of the database, the URL, the process and poolers",
    after: [
      "packages/core/src/session.ts",
      "packages/core/src/database.ts",
      "packages/core/src/pg-types.ts",
      "packages/core/src/statements",
      "packages/worker/src/lease",
      "packages/worker/src/wake",
      "drizzle",
    ],
    minutes: 3,
    runs: [{ tests: ["test/proof/settings"] }],
  },
  {
    name: "interleavings",
    proves:
      "in any order of the steps of several sessions on a real PostgreSQL, no job is lost, run twice or left without a notification",
    after: ["packages/core/src/statements", "packages/worker/src/wake", "drizzle"],
    minutes: 2,
    runs: [{ tests: ["test/proof/interleavings"] }],
  },
  {
    name: "model",
    proves: "after every statement in random lives of a queue, the tables match a model of the queue",
    after: ["packages/core/src/statements", "packages/core/src/outcome.ts", "drizzle"],
    minutes: 1,
    runs: [{ tests: ["test/proof/model"] }],
  },
  {
    name: "properties",
    proves: "random endings, keys, locks and clock changes keep the promises of the tables",
    after: ["packages/core/src", "packages/worker/src/cron"],
    minutes: 1,
    runs: [{ tests: ["test/proof/properties"] }],
  },
  {
    name: "simulation",
    proves:
      "the worker's code on the real statements keeps every promise in simulated worlds, where answers are lost, late or doubled and processes stop",
    after: [
      "packages/core/src/statements",
      "drizzle",
      "packages/worker/src/claim",
      "packages/worker/src/run",
      "packages/worker/src/settle",
      "packages/worker/src/lease",
      "packages/worker/src/wake",
    ],
    minutes: 3,
    runs: [{ tests: ["test/proof/simulation"] }],
  },
  {
    name: "faults",
    proves:
      "Hark survives each failure mode of docs/explanation/failure-modes.md, caused for real: killed processes, cut connections, a full disk",
    after: ["packages/core/src", "packages/worker/src"],
    minutes: 9,
    runs: [{ tests: ["test/proof/faults"] }],
  },
  {
    name: "upgrade",
    proves: "a schema is upgraded under load while old and new workers run, and the old code comes back",
    after: ["drizzle", "packages/core/src/migrate.ts"],
    minutes: 2,
    runs: [{ tests: ["test/proof/upgrade"] }],
  },
  {
    name: "install",
    proves:
      "the packed packages install, bundle and run in projects of Next.js, esbuild, Jest, Vitest, Bun and others, by the lines of [install.md](../how-to/install.md)",
    after: ["packages", ".ci", "docs/how-to/install.md"],
    minutes: 15,
    runs: [{ tests: ["test/proof/install"] }],
  },
  {
    name: "docs",
    proves: "the README's commands do what it says when they are typed as printed",
    after: ["README.md", "package.json", "packages/cli/src"],
    minutes: 2,
    runs: [{ tests: ["test/proof/docs"] }],
  },
  {
    name: "demo",
    proves: "the demo leaves nothing behind, whenever it is interrupted or killed",
    after: ["examples/datashelf/src", "test/database"],
    minutes: 3,
    runs: [{ tests: ["test/proof/demo"] }],
  },
  {
    name: "campaigns",
    proves:
      "Hark keeps its promises under several faults at once, as in production, judged from an outside ledger ([campaigns.md](campaigns.md))",
    after: ["packages/core/src", "packages/worker/src", "packages/producer/src", "drizzle"],
    minutes: 5,
    runs: [{ tests: ["test/proof/campaigns"] }, { program: campaigns, usual: ["--seed", "1..3", "--minutes", "3"] }],
  },
  {
    name: "patient",
    proves:
      "a database that is away, changed and locked again and again, and workers that stand still, bury no job and use up no attempt; ten minutes with `LONG=1`",
    after: ["packages/core/src/statements/lease", "packages/worker/src/lease", "packages/worker/src/upkeep", "drizzle"],
    minutes: 2,
    runs: [{ tests: ["test/proof/patient"] }],
  },
  {
    name: "strangers",
    proves:
      "a login without rights that floods notifications and holds advisory locks costs a bounded share, and stops nothing; all channels and longer drains with `LONG=1`",
    after: ["packages/core/src/locks.ts", "packages/worker/src/wake", "drizzle"],
    minutes: 2,
    runs: [{ tests: ["test/proof/strangers"] }],
  },
  {
    name: "memory",
    proves:
      "a worker, a producer, a PostgresQueue and a server hold no more memory however many jobs have passed; a million jobs with `LONG=1`",
    after: [
      "packages/core/src",
      "packages/worker/src",
      "packages/producer/src",
      "packages/job-manager/src",
      "packages/server/src",
    ],
    minutes: 2,
    runs: [{ tests: ["test/proof/memory"] }],
  },
  {
    name: "keys",
    proves:
      "no two jobs of a key overlap and no key is left standing, with very many jobs over many keys and workers that are killed and stopped all the time ([keys.md](keys.md))",
    after: ["packages/core/src/statements", "packages/worker/src/claim", "packages/worker/src/settle", "drizzle"],
    minutes: 2,
    runs: [{ tests: ["test/proof/keys"] }, { program: "test/proof/keys/main.ts", usual: [] }],
  },
  {
    name: "sabotage",
    proves: "a campaign catches every build that lacks one guard ([campaigns.md](campaigns.md#sabotaged-builds))",
    after: ["test/proof/campaigns"],
    minutes: 50,
    runs: [{ program: campaigns, fixed: ["--sabotage"], usual: ["all"] }],
  },
  {
    name: "soaks",
    proves: "the tests that repeat, with the full number of kills, outages, restarts and first boots",
    after: ["packages/worker/src/lease", "packages/worker/src/wake", "packages/worker/src/upkeep"],
    minutes: 300,
    runs: [
      {
        tests: [
          "test/proof/faults",
          "test/proof/memory",
          "test/proof/patient",
          "test/proof/properties",
          "test/proof/simulation/simulation.test.ts",
          "test/proof/strangers",
        ],
        environment: { LONG: "1" },
      },
    ],
  },
];
