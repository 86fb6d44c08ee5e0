import { statement } from "../statement.ts";

/**
 * How full the server's queue of notifications is, from 0 to 1. A full one fails every commit that
 * notifies (FM-10).
 */
export const notificationQueueUsage = statement<Record<string, never>, { usage: number }>(
  "notification-queue-usage",
  [],
  `select pg_notification_queue_usage() as usage`,
  (row) => ({ usage: Number(row.usage) }),
);
