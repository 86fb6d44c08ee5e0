import { statement } from "../statement.ts";
import type { ParametersByType } from "./claim-contended-jobs-by-type.ts";

/**
 * The types with ready jobs that no running key blocks, with the priority of the most urgent, that
 * one first. A claim by types that found nothing has looked at all of them down to the priority of
 * the second.
 */
export const urgencyByType = statement<Omit<ParametersByType, "limit" | "worker" | "token">, { priority: number }>(
  "urgency-by-type",
  ["queue", "types", "leastPriorities", "afterIds", "mostPriority"],
  `select head.priority
     from unnest($2::text[], $3::integer[], $4::bigint[]) wanted (type, least, after), lateral (
       select priority, id from hark.jobs
        where hashtext(type || queue) = hashtext(wanted.type || $1) and type collate "C" = wanted.type and queue collate "C" = $1
          and state = 'ready' and priority between wanted.least and $5 and id > wanted.after
          and (key is null or (
            select true from hark.running_jobs held where held.queue = jobs.queue and held.key = jobs.key limit 1) is null)
        order by priority desc, id limit 1) head
    order by head.priority desc, head.id`,
  (row) => ({ priority: row.priority as number }),
);
