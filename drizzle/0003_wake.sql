-- Wake-ups. Payloads never hold a job's data (FM-12).

-- Wakes promoters for a job that is due at this moment, told in epoch milliseconds. No notification
-- is needed if it is due in more than 60 s, since promoters look every 30 s or more often. Nor is
-- one needed if another job is due before it, unless that is within a second: the promoter of that
-- one then looks when the next is due (docs/decisions/0013). No scan of the whole table, which
-- statistics from when it was empty would ask for. A function of its own, since only this query
-- needs that setting.
CREATE FUNCTION hark.announce_scheduled(due timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = hark, pg_temp SET enable_seqscan = off AS $$
DECLARE
  called_at timestamptz := clock_timestamp(); -- in a condition itself it would keep the index out
BEGIN
  PERFORM pg_notify('job_scheduled', floor(extract(epoch FROM due) * 1000)::bigint::text)
    WHERE due < called_at + interval '60 s'
      AND NOT EXISTS (SELECT FROM jobs WHERE state = 'scheduled'
                         AND run_at >= called_at + interval '1 s' AND run_at < due);
END $$;--> statement-breakpoint

-- Wakes workers for every queue that got ready work while a worker sleeps on it, and promoters when
-- something is due later: one notification a queue and statement. For ready jobs it says the queue,
-- how many, and the end of the transaction's number, by which workers agree who comes first (the
-- worker's stagger.ts). Payloads are equal within a transaction, so that PostgreSQL folds them. For
-- scheduled jobs see announce_scheduled. A worker that sleeps on a queue holds the advisory lock
-- (hark, hash of the queue) in shared mode: see docs/decisions/0006. Trying that lock tells whether
-- any worker does, whatever the snapshot. It is unlocked in the same expression, so that nothing
-- comes between. A NOTIFY makes durable commits queue up, one flush each (2.6 times fewer a
-- second): hence it is sent only when it is needed. In the usual case, ready jobs of one queue, one
-- query says so, and an expression tries the lock: as queries over all rows the trigger took 48 us
-- of an insert of four jobs instead of 30. A single job costs the same either way.
CREATE FUNCTION hark.announce_jobs() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hark, pg_temp AS $$
DECLARE
  first_queue text;
  last_queue text;
  jobs bigint;
  ready bigint;
BEGIN
  SELECT min(queue COLLATE "C"), max(queue COLLATE "C"), count(*), count(*) FILTER (WHERE state = 'ready')
    INTO first_queue, last_queue, jobs, ready FROM fresh;
  IF ready = jobs AND first_queue = last_queue THEN
    IF (CASE WHEN pg_try_advisory_lock(1751216747, hashtext(first_queue)) -- bare, its THEN would be the IF's
             THEN NOT pg_advisory_unlock(1751216747, hashtext(first_queue)) ELSE true END) THEN
      PERFORM pg_notify('job_ready', first_queue || ' ' || jobs || ' ' || right(pg_current_xact_id()::text, 6));
    END IF;
    RETURN NULL;
  END IF;
  IF ready > 0 THEN
    PERFORM pg_notify('job_ready', queue || ' ' || of_queue || ' ' || right(pg_current_xact_id()::text, 6))
       FROM (SELECT queue, count(*) AS of_queue FROM fresh WHERE state = 'ready' GROUP BY queue) by_queue
      WHERE CASE WHEN pg_try_advisory_lock(1751216747, hashtext(queue))
                 THEN NOT pg_advisory_unlock(1751216747, hashtext(queue)) ELSE true END;
  END IF;
  IF ready < jobs THEN
    PERFORM announce_scheduled(min(run_at)) FROM fresh WHERE state = 'scheduled' HAVING count(*) > 0;
  END IF;
  RETURN NULL;
END $$;--> statement-breakpoint
CREATE TRIGGER jobs_announce_insert AFTER INSERT ON hark.jobs
  REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION hark.announce_jobs();--> statement-breakpoint
CREATE TRIGGER jobs_announce_update AFTER UPDATE ON hark.jobs
  REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION hark.announce_jobs();--> statement-breakpoint

-- PostgreSQL opens every new function to PUBLIC (SEC-02). docs/how-to/roles.md says what to grant
-- to whom.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA hark FROM PUBLIC;
