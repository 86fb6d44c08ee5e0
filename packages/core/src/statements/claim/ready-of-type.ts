/**
 * A condition on hark.jobs: the ready jobs of one type in a queue, by the index jobs_by_type and by
 * no other. The collation keeps the index jobs_ready out of such a plan, and the hash keeps
 * jobs_by_type out of other plans, whatever the statistics say.
 */
export const readyOfType = (type: string, queue: string): string =>
  `hashtext(jobs.type || jobs.queue) = hashtext(${type} || ${queue})
            and jobs.type collate "C" = ${type} and jobs.queue collate "C" = ${queue} and state = 'ready'`;

/**
 * A condition on hark.jobs that always holds, for queries that take the first rows of a queue by
 * the index jobs_ready. The planner does not know what a subquery returns, so it expects few rows.
 * With statistics from when the table was empty it would else collect all rows of the queue first.
 */
export const inOrder = "priority >= (select -2147483648) and id > (select 0)";

/**
 * An expression: whether a queue has ready jobs of these types, locked ones too. It looks at 1,000
 * ready jobs. Only if there are as many, none of them of these types, it looks for each type by
 * itself, whatever stands in front.
 */
export const isAnyReadyOf = (queue: string, types: string): string =>
  `(exists (
            select from (
              select type from hark.jobs where jobs.queue = ${queue} and state = 'ready' and ${inOrder} limit 1000) head
             where type = any (${types}::text[]))
          or exists (select from hark.jobs where jobs.queue = ${queue} and state = 'ready' and ${inOrder} offset 999)
             and exists (
               select from unnest(${types}::text[]) wanted (type), lateral (
                 select from hark.jobs
                  where ${readyOfType("wanted.type", queue)} limit 1) of_type))`;
