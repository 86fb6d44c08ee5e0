-- Functions, triggers, partitions and storage: what drizzle-kit cannot say. Private but for enqueue, enqueue_many and the
-- views to come. Every function is closed to PUBLIC at the end of this file (SEC-02) and pins its search path (SEC-03).

-- Storage, by table. Waiting and running rows live for moments:
-- * vacuum by count, since a share of an empty table is nothing, and a share of a deep one comes too late; their payloads' TOAST alike;
-- * vacuum the indexes each time: by itself it leaves them while under 2 % of the pages hold dead rows, and a claim from a million
--   ready jobs then read 78 pages rather than 4 to pass 15,000 that had gone (PostgreSQL 18.4);
-- * never give the end of the file back: that takes an ACCESS EXCLUSIVE lock, which a standby replays on its readers, for space
--   that the next burst needs again. `vacuum (truncate on) hark.jobs` gives it back in a quiet hour.
-- * vacuum without rests: 60,000 jobs/s leave 20 MB of dead rows and index entries a second, and a vacuum at the usual pace did not
--   come to their end: in five minutes running_jobs grew to 2.7 GB for a thousand rows (docs/decisions/0023).
-- No fillfactor: they are never updated in place but by promoting and parking, which change what indexes hold.
ALTER TABLE hark.jobs SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_cost_delay = 0, vacuum_index_cleanup = on, vacuum_truncate = off,
  toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 5000, toast.vacuum_truncate = off);--> statement-breakpoint
ALTER TABLE hark.running_jobs SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_cost_delay = 0, vacuum_index_cleanup = on, vacuum_truncate = off,
  toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 5000, toast.vacuum_truncate = off);--> statement-breakpoint
-- Come and go with jobs, a row each or one a batch; read by key, and stats whole by every question for them.
ALTER TABLE hark.unique_keys SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);--> statement-breakpoint
ALTER TABLE hark.stats SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
  vacuum_truncate = off);--> statement-breakpoint
-- Updated in place all the time, few rows: room on the page keeps renewals heap-only.
ALTER TABLE hark.workers SET (fillfactor = 50);--> statement-breakpoint
ALTER TABLE hark.locks SET (fillfactor = 50);--> statement-breakpoint
ALTER TABLE hark.schedules SET (fillfactor = 50);--> statement-breakpoint
-- finished_jobs, attempts and dead_jobs stay as they come: rows are added, read and, for whole days, dropped. Autovacuum must stay
-- on for the days: it is what summarises their BRIN index. Autosummarize alone does not keep up, since its queue holds 256 requests:
-- of 800,000 rows added in a few seconds 562 of 820 ranges were refused, and are read by every look-up until the vacuum that a
-- fifth more rows bring about. (Partitions take no storage parameters from their parent, but their indexes do.)

-- A day without its own partition is caught here, so that no outcome is ever refused for want of upkeep.
CREATE TABLE hark.finished_jobs_default PARTITION OF hark.finished_jobs DEFAULT;--> statement-breakpoint
CREATE TABLE hark.attempts_default PARTITION OF hark.attempts DEFAULT;--> statement-breakpoint

-- Makes the partitions of today and the `days_ahead` days after it (UTC) that do not exist yet; answers how many it made, and
-- none while another worker is at it. Attaching lets inserts into the other partitions go on; it locks the default partition,
-- and reads all of it. Rows that came before their day's partition move into it, unless they are many: then the day stays in the
-- default partition, where it is as good, but for being deleted by rows and not dropped. A day whose lock a reader of the whole
-- history holds is left for the next time: a request that waits for longer would hold up other readers.
CREATE FUNCTION hark.create_partitions(days_ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hark, pg_temp SET lock_timeout = '50ms' SET timezone = 'UTC' AS $$
DECLARE
  most_early CONSTANT integer := 10000; -- moved in about 0.1 s, during which outcomes of that day wait
  made integer := 0;
  parent text;
  day date;
  partition text;
  early integer;
BEGIN
  IF days_ahead IS NULL OR days_ahead NOT BETWEEN 0 AND 366 THEN
    RAISE EXCEPTION 'hark.create_partitions wants the days to make ahead, 0 to 366, not %', coalesce(days_ahead::text, 'null')
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF NOT pg_try_advisory_xact_lock(hashtextextended('hark.partitions', 0)) THEN RETURN 0; END IF;
  FOREACH parent IN ARRAY ARRAY['finished_jobs', 'attempts'] LOOP
    FOR day IN SELECT current_date + n FROM generate_series(0, days_ahead) n LOOP
      partition := parent || '_' || to_char(day, 'YYYYMMDD');
      CONTINUE WHEN to_regclass('hark.' || partition) IS NOT NULL;
      EXECUTE format('SELECT count(*) FROM (SELECT FROM hark.%I WHERE finished_at >= $1 AND finished_at < $2 LIMIT $3) early',
        parent || '_default') INTO early USING day::timestamptz, (day + 1)::timestamptz, most_early + 1;
      CONTINUE WHEN early > most_early;
      BEGIN
        EXECUTE format('CREATE TABLE hark.%I (LIKE hark.%I INCLUDING DEFAULTS INCLUDING STORAGE)', partition, parent);
        EXECUTE format('LOCK TABLE ONLY hark.%I IN ACCESS EXCLUSIVE MODE', parent || '_default');
        EXECUTE format('WITH early AS (DELETE FROM hark.%I WHERE finished_at >= $1 AND finished_at < $2 RETURNING *)
                        INSERT INTO hark.%I SELECT * FROM early', parent || '_default', partition)
          USING day::timestamptz, (day + 1)::timestamptz;
        EXECUTE format('ALTER TABLE hark.%I ATTACH PARTITION hark.%I FOR VALUES FROM (%L) TO (%L)',
          parent, partition, day::timestamptz, (day + 1)::timestamptz);
        made := made + 1;
      EXCEPTION WHEN lock_not_available THEN NULL;
      END;
    END LOOP;
  END LOOP;
  RETURN made;
END $$;--> statement-breakpoint

-- Drops the oldest day of history that is older than `keep_days`, and deletes some rows that old which found no partition of their
-- day: call it until it answers zeros. `waiting` counts days whose lock somebody holds; they are for the next time.
-- A drop locks the whole history, and while that request waits, no outcome can be written: hence the partition is locked first,
-- since who reads or writes the history at length mostly holds that too, and no request waits for longer than 50 ms.
-- DETACH ... CONCURRENTLY would lock less, but runs in no function, and not beside a default partition.
CREATE FUNCTION hark.drop_partitions(keep_days integer, OUT dropped integer, OUT deleted integer, OUT waiting integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hark, pg_temp SET lock_timeout = '50ms' SET timezone = 'UTC' AS $$
DECLARE
  most_deleted CONSTANT integer := 10000;
  partition text;
  more integer;
BEGIN
  IF keep_days IS NULL OR keep_days NOT BETWEEN 1 AND 1000000 THEN
    RAISE EXCEPTION 'hark.drop_partitions wants the days to keep, 1 to 1000000, not %: nothing was dropped',
      coalesce(keep_days::text, 'null') USING ERRCODE = 'invalid_parameter_value';
  END IF;
  dropped := 0; deleted := 0; waiting := 0;
  IF NOT pg_try_advisory_xact_lock(hashtextextended('hark.partitions', 0)) THEN RETURN; END IF;
  FOR partition IN
    SELECT child.relname FROM pg_inherits
      JOIN pg_class child ON child.oid = inhrelid
     WHERE inhparent IN ('hark.finished_jobs'::regclass, 'hark.attempts'::regclass)
       AND CASE WHEN child.relname ~ '_[0-9]{8}$' THEN to_date(right(child.relname, 8), 'YYYYMMDD') < current_date - keep_days END
     ORDER BY right(child.relname, 8), child.relname
  LOOP
    BEGIN
      EXECUTE format('LOCK TABLE hark.%I IN ACCESS EXCLUSIVE MODE', partition);
      EXECUTE format('DROP TABLE hark.%I', partition);
      dropped := 1;
      EXIT; -- its lock on the whole history lasts until the end of the transaction
    EXCEPTION WHEN lock_not_available THEN waiting := waiting + 1;
    END;
  END LOOP;
  DELETE FROM finished_jobs_default WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM finished_jobs_default WHERE finished_at < current_date - keep_days LIMIT most_deleted));
  GET DIAGNOSTICS deleted = ROW_COUNT;
  DELETE FROM attempts_default WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM attempts_default WHERE finished_at < current_date - keep_days LIMIT most_deleted));
  GET DIAGNOSTICS more = ROW_COUNT;
  deleted := deleted + more;
END $$;--> statement-breakpoint

-- The next fence: WAL timeline in the high bits, a number in the low 40. A promoted standby may repeat the number, but
-- stands on a higher timeline (FM-48), so fences only grow. 2^40 grants a timeline; the sequence refuses rather than wraps.
-- Who asks keeps other askers for the key out until its transaction ends: an insert that draws its number, then waits, would
-- otherwise still find the key free after a later number had come and gone, and be granted the lower one.
CREATE SEQUENCE hark.fence_numbers MAXVALUE 1099511627775;--> statement-breakpoint
CREATE FUNCTION hark.next_fence(key text) RETURNS bigint
LANGUAGE sql VOLATILE SET search_path = hark, pg_temp AS $$
  SELECT pg_advisory_xact_lock(hashtextextended('hark.locks ' || key, 0));
  SELECT (('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint << 40) | nextval('hark.fence_numbers');
$$;--> statement-breakpoint

-- Wakes promoters for a job due at this moment, told in epoch milliseconds. It needs no notification if it is due in more than 10 s,
-- since whoever promotes looks every 5 s, nor if another is due before it, but not within a second: who promotes that one then looks
-- when the next is due (docs/decisions/0013).
-- No scan of the whole table, which statistics from when it was empty would ask for. Apart, since only this needs that setting.
CREATE FUNCTION hark.announce_scheduled(due timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = hark, pg_temp SET enable_seqscan = off AS $$
DECLARE
  called_at timestamptz := clock_timestamp(); -- in a condition itself it would keep the index out
BEGIN
  PERFORM pg_notify('job_scheduled', floor(extract(epoch FROM due) * 1000)::bigint::text)
    WHERE due < called_at + interval '10 s'
      AND NOT EXISTS (SELECT FROM jobs WHERE state = 'scheduled'
                         AND run_at >= called_at + interval '1 s' AND run_at < due);
END $$;--> statement-breakpoint

-- Wakes workers for every queue that got ready work while somebody sleeps on it, and promoters when something is due later. One
-- notification a queue and statement; payloads never hold a job's data (FM-12). Of ready jobs: the queue, how many, and the end of
-- the transaction's number, by which workers agree who comes first (turns.ts); equal within a transaction, so that PostgreSQL folds
-- them. Of scheduled ones: see announce_scheduled.
-- Who sleeps on a queue holds the advisory lock (hark, hash of the queue) in shared mode: see docs/decisions/0006. Trying it
-- alone answers whether anybody does, whatever the snapshot. Unlocked in the same expression, so that nothing comes between.
-- A NOTIFY makes durable commits queue up, one flush each (2.6 times fewer a second, storage.md 4): hence only when it is needed.
-- In the usual case, ready jobs of one queue, one query says so, and an expression tries the lock: as queries over all rows the trigger
-- took 48 us of an insert of four jobs instead of 30. A single job is no dearer by it.
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

-- Hands a key over: when a running job of the key leaves, the most urgent parked one becomes ready. A trigger, so that no
-- way out of running_jobs can forget it; and its own statement, so that it sees a job parked while the deletion waited for
-- the parker's row lock (FM-40). The WHEN keeps it off jobs without a key.
CREATE FUNCTION hark.hand_off_key() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hark, pg_temp AS $$
BEGIN
  UPDATE jobs SET state = 'ready', run_at = clock_timestamp() WHERE id = (
    SELECT id FROM jobs WHERE queue = OLD.queue AND key = OLD.key AND state = 'parked'
     ORDER BY priority DESC, id LIMIT 1 FOR UPDATE);
  RETURN NULL;
END $$;--> statement-breakpoint
CREATE TRIGGER running_jobs_hand_off AFTER DELETE ON hark.running_jobs
  FOR EACH ROW WHEN (OLD.key IS NOT NULL) EXECUTE FUNCTION hark.hand_off_key();--> statement-breakpoint

-- The same for a key whose ready job was cancelled: the next may be parked behind that one. Whether another of the key is ready or
-- runs does not matter, since a claim finds the blocked one and it is parked again. A function, since the cancel may have waited for
-- its job while others were parked, and its own snapshot would not show them; no trigger, since claims delete ready jobs too.
CREATE FUNCTION hark.hand_off(queue text, key text) RETURNS void
LANGUAGE plpgsql SET search_path = hark, pg_temp AS $$
#variable_conflict use_column
BEGIN
  UPDATE jobs SET state = 'ready', run_at = clock_timestamp() WHERE id = (
    SELECT id FROM jobs WHERE queue = hand_off.queue AND key = hand_off.key AND state = 'parked'
     ORDER BY priority DESC, id LIMIT 1 FOR UPDATE);
END $$;--> statement-breakpoint

-- A finished job gives its unique key back, whichever way it finished.
CREATE FUNCTION hark.free_unique_key() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hark, pg_temp AS $$
BEGIN
  DELETE FROM unique_keys WHERE queue = NEW.queue AND unique_key = NEW.unique_key AND job_id = NEW.id;
  RETURN NULL;
END $$;--> statement-breakpoint
CREATE TRIGGER finished_jobs_free_unique_key AFTER INSERT ON hark.finished_jobs
  FOR EACH ROW WHEN (NEW.unique_key IS NOT NULL) EXECUTE FUNCTION hark.free_unique_key();--> statement-breakpoint
CREATE TRIGGER dead_jobs_free_unique_key AFTER INSERT ON hark.dead_jobs
  FOR EACH ROW WHEN (NEW.unique_key IS NOT NULL) EXECUTE FUNCTION hark.free_unique_key();--> statement-breakpoint

-- Inserts jobs from one JSON array and answers each one's id in the order given: 'inserted', or 'duplicate' with the id of
-- the unfinished job that holds the unique key. The one insert behind every enqueue; its callers have checked the fields.
CREATE FUNCTION hark.insert_jobs(jobs jsonb) RETURNS TABLE (id bigint, status text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hark, pg_temp AS $$
#variable_conflict use_column
DECLARE
  called_at timestamptz := clock_timestamp();
  ids bigint[] := ARRAY(SELECT nextval('hark.jobs_id_seq') FROM generate_series(1, jsonb_array_length(jobs)));
  duplicates integer[] := '{}';
  wanted record;
  holder bigint;
BEGIN
  IF jobs @? '$[*].unique_key' THEN
    FOR wanted IN
      SELECT ordinality::integer AS place, coalesce(queue, 'default') AS queue, unique_key
        FROM ROWS FROM (jsonb_to_recordset(jobs) AS (queue text, unique_key text)) WITH ORDINALITY AS job
       WHERE unique_key IS NOT NULL ORDER BY 2, 3, 1 -- two batches that share keys meet in one order (FM-31)
    LOOP
      LOOP
        INSERT INTO unique_keys (queue, unique_key, job_id)
        VALUES (wanted.queue, wanted.unique_key, ids[wanted.place]) ON CONFLICT DO NOTHING;
        EXIT WHEN FOUND;
        SELECT job_id INTO holder FROM unique_keys held
         WHERE held.queue = wanted.queue AND held.unique_key = wanted.unique_key;
        IF FOUND THEN
          ids[wanted.place] := holder;
          duplicates := duplicates || wanted.place;
          EXIT;
        END IF; -- else the holder finished in between and freed the key: try again
      END LOOP;
    END LOOP;
  END IF;

  INSERT INTO hark.jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key, run_at,
                         created_at, state)
  SELECT ids[ordinality], coalesce(queue, 'default'), type, coalesce(payload, 'null'), coalesce(priority, 0), 0,
         coalesce(max_attempts, 3), 0, key, unique_key, due.at, called_at,
         CASE WHEN due.at <= called_at THEN 'ready' ELSE 'scheduled' END
    FROM ROWS FROM (jsonb_to_recordset(jobs) AS (type text, payload jsonb, queue text, run_at timestamptz, delay_ms float8,
           priority integer, max_attempts smallint, key text, unique_key text)) WITH ORDINALITY AS job,
         LATERAL (SELECT coalesce(run_at, called_at + delay_ms * interval '1 ms', called_at) AS at) due
   WHERE NOT ordinality = ANY (duplicates);

  -- In order without a sort, like the insert above: each reads one function's rows as they come.
  RETURN QUERY SELECT ids[place], CASE WHEN place = ANY (duplicates) THEN 'duplicate' ELSE 'inserted' END
    FROM generate_series(1, cardinality(ids)) place;
END $$;--> statement-breakpoint

-- The public contract for many jobs, for any language: an array of objects with `type` and, if wanted, `payload`, `queue`,
-- `run_at`, `delay_ms`, `priority`, `max_attempts`, `key`, `unique_key`. Refuses what it does not know, before it writes.
CREATE FUNCTION hark.enqueue_many(jobs jsonb) RETURNS TABLE (id bigint, status text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hark, pg_temp AS $$
#variable_conflict use_column
DECLARE
  wrong text;
BEGIN
  IF jsonb_typeof(jobs) IS DISTINCT FROM 'array' THEN
    RAISE EXCEPTION 'hark.enqueue_many wants a JSON array of jobs, not %', coalesce(jsonb_typeof(jobs), 'null')
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT format('job %s of the array %s', place, complaint) INTO wrong
    FROM jsonb_array_elements(jobs) WITH ORDINALITY AS elements (item, place)
    LEFT JOIN LATERAL (
      SELECT field FROM jsonb_object_keys(CASE jsonb_typeof(item) WHEN 'object' THEN item ELSE '{}' END) AS fields (field)
       WHERE field NOT IN ('type', 'payload', 'queue', 'run_at', 'delay_ms', 'priority', 'max_attempts', 'key', 'unique_key')
       LIMIT 1) unknown ON true,
    LATERAL (SELECT CASE
      WHEN jsonb_typeof(item) <> 'object' THEN 'is no object'
      WHEN unknown.field IS NOT NULL THEN format('has the unknown field %L', unknown.field)
      WHEN coalesce(item ->> 'type', '') !~ '^[a-z0-9][a-z0-9_.:-]*$' OR octet_length(item ->> 'type') > 63
        THEN format('has no valid type name: %L', item ->> 'type')
      WHEN item ->> 'queue' !~ '^[a-z0-9][a-z0-9_.:-]*$' OR octet_length(item ->> 'queue') > 63
        THEN format('has no valid queue name: %L', item ->> 'queue')
      WHEN octet_length((item -> 'payload')::text) > 262144 THEN 'has a payload over 262144 bytes'
      WHEN octet_length(item ->> 'key') > 1024 OR octet_length(item ->> 'unique_key') > 1024 THEN 'has a key over 1024 bytes'
      WHEN item ? 'run_at' AND item ? 'delay_ms' THEN 'has both run_at and a delay'
      WHEN NOT isfinite((item ->> 'run_at')::timestamptz) THEN 'has an infinite run_at'
      WHEN (item ->> 'delay_ms')::float8 NOT BETWEEN 0 AND 3155760000000 THEN 'has a delay not between 0 and 100 years'
      WHEN (item ->> 'max_attempts')::integer NOT BETWEEN 1 AND 1000 THEN 'has max_attempts not between 1 and 1000'
    END AS complaint) judged
   WHERE complaint IS NOT NULL ORDER BY place LIMIT 1;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'nothing was enqueued: %', wrong USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN QUERY SELECT id, status FROM hark.insert_jobs(jobs);
END $$;--> statement-breakpoint

-- Enqueues one job from psql, a trigger or any language, and answers its id (or that of the unfinished job with the same
-- unique key): select hark.enqueue('email.welcome', '{"userId": "u1"}', delay => interval '5 min');
CREATE FUNCTION hark.enqueue(
  type text, payload jsonb, queue text DEFAULT 'default', run_at timestamptz DEFAULT NULL, delay interval DEFAULT NULL,
  priority integer DEFAULT 0, key text DEFAULT NULL, unique_key text DEFAULT NULL, max_attempts integer DEFAULT 3
) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = hark, pg_temp AS $$
  SELECT id FROM hark.enqueue_many(jsonb_build_array(jsonb_strip_nulls(jsonb_build_object(
    'type', type, 'queue', queue, 'run_at', run_at, 'delay_ms', extract(epoch FROM delay) * 1000, 'priority', priority,
    'key', key, 'unique_key', unique_key, 'max_attempts', max_attempts)) || jsonb_build_object('payload', payload)));
$$;--> statement-breakpoint

-- Fires a schedule: moves it from the tick that is due to the next, and enqueues a job for each of `ticks` that was not fired before,
-- all in one transaction. Answers how many jobs; null if there was nothing to fire: another scheduler was quicker, the declaration
-- changed, or by this server's clock it is not time yet. Who works out the ticks knows zones, and this is what makes any number of
-- them right: `next_at` moves on from the value they read and from no other, and a tick has one row (docs/decisions/0019).
-- A function, since whoever runs jobs may not call insert_jobs.
CREATE FUNCTION hark.fire_schedule(
  schedule text, read_revision bigint, due timestamptz, ticks timestamptz[], following timestamptz
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hark, pg_temp AS $$
#variable_conflict use_column
DECLARE
  called_at timestamptz := clock_timestamp();
  fired schedules;
  fresh timestamptz[];
BEGIN
  UPDATE schedules SET next_at = following
   WHERE name = fire_schedule.schedule AND revision = read_revision AND next_at = due AND due <= called_at
  RETURNING * INTO fired;
  IF NOT FOUND THEN RETURN NULL; END IF;

  WITH first AS (
    INSERT INTO schedule_ticks (schedule, tick, fired_at)
    SELECT fired.name, moment, called_at FROM unnest(ticks) moment ORDER BY moment ON CONFLICT DO NOTHING RETURNING tick)
  SELECT array_agg(tick ORDER BY tick) INTO fresh FROM first;
  DELETE FROM schedule_ticks old
   WHERE old.schedule = fired.name AND tick < called_at - interval '1 day' AND fired_at < called_at - interval '1 day';

  RETURN (SELECT count(*) FROM hark.insert_jobs((
    SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
             'type', fired.type, 'queue', fired.queue, 'run_at', moment, 'priority', fired.priority,
             'max_attempts', fired.max_attempts, 'key', fired.key, 'unique_key', fired.unique_key))
           || jsonb_build_object('payload', fired.payload) ORDER BY moment), '[]')
      FROM unnest(fresh) moment)) WHERE status = 'inserted');
END $$;--> statement-breakpoint

-- How many ready jobs wait in a queue, counted no further than `up_to`: for producers that stop when it is full. By the index,
-- whatever stale statistics say, since it is asked again and again.
CREATE FUNCTION hark.queue_depth(queue text, up_to integer) RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = hark, pg_temp SET enable_seqscan = off AS $$
  SELECT count(*)::integer
    FROM (SELECT FROM hark.jobs ready WHERE ready.queue = queue_depth.queue AND ready.state = 'ready' LIMIT up_to) counted;
$$;--> statement-breakpoint

-- PostgreSQL opens every new function to PUBLIC: close them all. README, "Roles", says what to grant to whom.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA hark FROM PUBLIC;
