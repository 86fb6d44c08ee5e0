/**
 * What `hark doctor` asks the database. The answers are facts; what is good or bad about them, and
 * what to do, is for the caller to say.
 */
export { listLockHolders, type LockHolder } from "./advisory-locks.ts";
export { type ClockSkew, measureClockSkew } from "./clock.ts";
export { countStrayHistory } from "./default-partitions.ts";
export { listEventTriggers } from "./event-triggers.ts";
export { listHiddenTables } from "./hidden-tables.ts";
export { findIdSequence, type IdSequence } from "./id-sequence.ts";
export { echoMs, probeListen } from "./listen-probe.ts";
export { findMigrationRights, type MigrationRights } from "./migration-rights.ts";
export { findOldestTransaction, type OpenTransaction } from "./old-transactions.ts";
export { findMissingPrivileges, type MissingPrivileges } from "./privileges.ts";
export { listTablesWithoutIdentity, type TableWithoutIdentity } from "./replica-identity.ts";
export { describeServer, type ServerFacts } from "./server.ts";
export { listMissingSettings } from "./session-settings.ts";
export { listWaitingTypes, type WaitingType } from "./waiting-types.ts";
export { listLiveWorkers, type LiveWorker } from "./workers.ts";
