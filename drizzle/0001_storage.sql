-- Storage, by table: what drizzle-kit cannot express.

-- Waiting and running rows live for moments:
-- * vacuum by count, since a share of an empty table is nothing, and a share of a deep one comes
--   too late; the TOAST of their payloads likewise;
-- * vacuum the indexes each time: by itself it leaves them while under 2 % of the pages hold dead
--   rows, and a claim from a million ready jobs then read 78 pages rather than 4 to pass 15,000
--   that had gone (PostgreSQL 18.4);
-- * never give the end of the file back: that takes an ACCESS EXCLUSIVE lock, which a standby
--   replays on its readers, for space that the next burst needs again. `vacuum (truncate on)
--   hark.jobs` gives it back in a quiet hour;
-- * vacuum without rests: 60,000 jobs/s leave 20 MB of dead rows and index entries a second, and a
--   vacuum at the usual pace did not keep up: in five minutes running_jobs grew to 2.7 GB for a
--   thousand rows (docs/decisions/0023). No fillfactor: only promoting and parking update rows in
--   place, and both change what indexes hold.
ALTER TABLE hark.jobs SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_cost_delay = 0, vacuum_index_cleanup = on, vacuum_truncate = off,
  toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 5000, toast.vacuum_truncate = off);--> statement-breakpoint
ALTER TABLE hark.running_jobs SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_cost_delay = 0, vacuum_index_cleanup = on, vacuum_truncate = off,
  toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 5000, toast.vacuum_truncate = off);--> statement-breakpoint

-- These come and go with jobs, one row a job or a batch. unique_keys is read by key, and stats
-- whole each time somebody asks for it.
ALTER TABLE hark.unique_keys SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);--> statement-breakpoint
ALTER TABLE hark.stats SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
  vacuum_truncate = off);--> statement-breakpoint

-- Few rows that are updated all the time: room on the page keeps these updates heap-only.
ALTER TABLE hark.workers SET (fillfactor = 50);--> statement-breakpoint
ALTER TABLE hark.locks SET (fillfactor = 50);--> statement-breakpoint
ALTER TABLE hark.hosts SET (fillfactor = 50);--> statement-breakpoint
ALTER TABLE hark.schedules SET (fillfactor = 50);--> statement-breakpoint

-- A publication of all tables refuses updates and deletes of rows that it cannot tell apart. These
-- tables have no key, and rows of them are deleted. Each partition needs it for itself
-- (hark.create_partitions). It costs nothing but for a deleted row, and only under logical
-- replication.
ALTER TABLE hark.stats REPLICA IDENTITY FULL;--> statement-breakpoint
ALTER TABLE hark.finished_jobs REPLICA IDENTITY FULL;--> statement-breakpoint
ALTER TABLE hark.attempts REPLICA IDENTITY FULL;--> statement-breakpoint

-- Moves the sequence of job ids past all ids that are in use, if it stands behind them, as after
-- logical replication, which copies no sequences (FM-83). Returns how far. One at a time, or the
-- setval() of a slower one could move it back.
CREATE FUNCTION hark.advance_ids() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hark, pg_temp AS $$
DECLARE
  highest bigint;
  reached bigint;
BEGIN
  PERFORM hark.lock_row('ids');
  highest := greatest((SELECT max(id) FROM hark.jobs), (SELECT max(id) FROM running_jobs), (SELECT max(id) FROM dead_jobs));
  SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END INTO reached FROM jobs_id_seq;
  IF highest IS NULL OR highest <= reached THEN RETURN 0; END IF;
  PERFORM setval('jobs_id_seq', highest);
  RETURN highest - reached;
END $$;--> statement-breakpoint

-- Gives new ids to jobs whose id another has, once advance_ids() has made sure that new ones are
-- free: to waiting jobs, and to dead letters whose id a running job has. Returns how many rows it
-- changed, and how far the sequence went.
CREATE FUNCTION hark.separate_ids(OUT renumbered integer, OUT advanced bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hark, pg_temp AS $$
DECLARE
  clash record;
  fresh bigint;
BEGIN
  advanced := advance_ids();
  renumbered := 0;
  FOR clash IN
    SELECT id, queue, unique_key FROM hark.jobs waiting
     WHERE EXISTS (SELECT FROM running_jobs WHERE running_jobs.id = waiting.id)
        OR EXISTS (SELECT FROM dead_jobs WHERE dead_jobs.id = waiting.id)
       FOR UPDATE SKIP LOCKED
  LOOP
    fresh := nextval('jobs_id_seq');
    UPDATE hark.jobs SET id = fresh WHERE id = clash.id;
    UPDATE unique_keys SET job_id = fresh
     WHERE queue = clash.queue AND unique_key = clash.unique_key AND job_id = clash.id;
    renumbered := renumbered + 1;
  END LOOP;
  FOR clash IN
    SELECT dead_jobs.id FROM dead_jobs JOIN running_jobs ON running_jobs.id = dead_jobs.id FOR UPDATE OF dead_jobs SKIP LOCKED
  LOOP
    UPDATE dead_jobs SET id = nextval('jobs_id_seq') WHERE id = clash.id;
    renumbered := renumbered + 1;
  END LOOP;
END $$;

-- finished_jobs, attempts and dead_jobs keep the defaults: rows are added, read and, for whole
-- days, dropped. Autovacuum must stay on for the days, because it summarises their BRIN index.
-- Autosummarize alone does not keep up, since its queue holds 256 requests: of 800,000 rows added
-- in a few seconds 562 of 820 ranges were refused, and every look-up reads them until the vacuum
-- that a fifth more rows bring about. (Partitions take no storage parameters from their parent, but
-- their indexes do.)
