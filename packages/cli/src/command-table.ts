import type { Command } from "./command.ts";

export interface TableEntry {
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

/**
 * Every command by its name, in the order that a project needs them. A command's file is loaded
 * only when it runs.
 */
export const commandTable: Readonly<Record<string, TableEntry>> = {
  demo: {
    summary: "show what Hark does, on a database that is dropped at the end",
    load: async () => (await import("./commands/demo.ts")).demoCommand,
  },
  migrate: {
    summary: "bring the database to this version's schema",
    load: async () => (await import("./commands/migrate.ts")).migrateCommand,
  },
  doctor: {
    summary: "check the database, notifications, rights, clocks and workers",
    load: async () => (await import("./commands/doctor.ts")).doctorCommand,
  },
  work: {
    summary: "run the jobs of a module",
    load: async () => (await import("./commands/work.ts")).workCommand,
  },
  enqueue: {
    summary: "enqueue one job, or many from stdin",
    load: async () => (await import("./commands/enqueue.ts")).enqueueCommand,
  },
  stats: {
    summary: "count jobs by queue and state",
    load: async () => (await import("./commands/stats.ts")).statsCommand,
  },
  "schedule list": {
    summary: "list recurring schedules",
    load: async () => (await import("./commands/schedule-list.ts")).scheduleListCommand,
  },
  "schedule next": {
    summary: "show the next times of a schedule or a cron pattern",
    load: async () => (await import("./commands/schedule-next.ts")).scheduleNextCommand,
  },
  "schedule remove": {
    summary: "remove a schedule",
    load: async () => (await import("./commands/schedule-remove.ts")).scheduleRemoveCommand,
  },
  "dead list": {
    summary: "list dead letters, oldest first",
    load: async () => (await import("./commands/dead-list.ts")).deadListCommand,
  },
  "dead requeue": {
    summary: "make dead letters ready again",
    load: async () => (await import("./commands/dead-requeue.ts")).deadRequeueCommand,
  },
  "dead delete": {
    summary: "delete dead letters by id",
    load: async () => (await import("./commands/dead-delete.ts")).deadDeleteCommand,
  },
  "dead prune": {
    summary: "delete dead letters of an age",
    load: async () => (await import("./commands/dead-prune.ts")).deadPruneCommand,
  },
};
