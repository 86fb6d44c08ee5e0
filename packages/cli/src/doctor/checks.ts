import { advisoryLocksCheck } from "./advisory-locks.ts";
import type { Check } from "./check.ts";
import { clockCheck } from "./clock.ts";
import { defaultPartitionsCheck } from "./default-partitions.ts";
import { encryptionCheck } from "./encryption.ts";
import { eventTriggersCheck } from "./event-triggers.ts";
import { idSequenceCheck } from "./id-sequence.ts";
import { listenCheck, listenUrlCheck } from "./listen.ts";
import { nodeCheck } from "./node.ts";
import { notificationQueueCheck } from "./notification-queue.ts";
import { oldSnapshotsCheck } from "./old-snapshots.ts";
import { oldTransactionsCheck } from "./old-transactions.ts";
import { privilegesCheck } from "./privileges.ts";
import { replicaIdentityCheck } from "./replica-identity.ts";
import { rowSecurityCheck } from "./row-security.ts";
import { schemaCheck } from "./schema.ts";
import { serverCheck } from "./server.ts";
import { sessionSettingsCheck } from "./session-settings.ts";
import { waitingTypesCheck } from "./waiting-types.ts";
import { workersCheck } from "./workers.ts";

/** The checks in the order that they run. A check comes after those that it depends on. */
export const checks: readonly Check[] = [
  nodeCheck,
  serverCheck,
  encryptionCheck,
  sessionSettingsCheck,
  schemaCheck,
  privilegesCheck,
  rowSecurityCheck,
  replicaIdentityCheck,
  eventTriggersCheck,
  idSequenceCheck,
  listenCheck,
  listenUrlCheck,
  clockCheck,
  notificationQueueCheck,
  oldTransactionsCheck,
  oldSnapshotsCheck,
  advisoryLocksCheck,
  workersCheck,
  waitingTypesCheck,
  defaultPartitionsCheck,
];
