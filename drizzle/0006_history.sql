-- History: finished_jobs and attempts are partitioned by day (UTC).

-- Rows of a day without its own partition go here, so that no outcome is ever refused for want of
-- upkeep.
CREATE TABLE hark.finished_jobs_default PARTITION OF hark.finished_jobs DEFAULT;--> statement-breakpoint
CREATE TABLE hark.attempts_default PARTITION OF hark.attempts DEFAULT;--> statement-breakpoint
ALTER TABLE hark.finished_jobs_default REPLICA IDENTITY FULL;--> statement-breakpoint
ALTER TABLE hark.attempts_default REPLICA IDENTITY FULL;--> statement-breakpoint

-- Returns whether no other transaction does this now, and keeps others from it until this one ends.
CREATE FUNCTION hark.is_alone_at(task text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hark, pg_temp AS $$
BEGIN
  INSERT INTO row_locks (name) SELECT task WHERE NOT EXISTS (SELECT FROM row_locks WHERE name = task)
  ON CONFLICT DO NOTHING;
  PERFORM FROM row_locks WHERE name = task FOR UPDATE SKIP LOCKED;
  RETURN FOUND;
END $$;--> statement-breakpoint

-- Makes the partitions of today and the `days_ahead` days after it that do not exist yet. Returns
-- how many it made, and makes none while another worker does. Attaching lets inserts into the other
-- partitions go on; it locks the default partition, and reads all of it. Rows that came before
-- their day's partition move into it, unless they are many: then the day stays in the default
-- partition, where it is as good, except that it is deleted by rows and not dropped. A day whose
-- lock a reader of the whole history holds is left for the next time: a request that waits longer
-- would hold up other readers.
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
    RAISE EXCEPTION 'hark.create_partitions expects days_ahead from 0 to 366, not %', coalesce(days_ahead::text, 'null')
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF NOT hark.is_alone_at('partitions') THEN RETURN 0; END IF;
  FOREACH parent IN ARRAY ARRAY['finished_jobs', 'attempts'] LOOP
    FOR day IN SELECT current_date + n FROM generate_series(0, days_ahead) n LOOP
      partition := parent || '_' || to_char(day, 'YYYYMMDD');
      CONTINUE WHEN to_regclass('hark.' || partition) IS NOT NULL;
      EXECUTE format('SELECT count(*) FROM (SELECT FROM hark.%I WHERE finished_at >= $1 AND finished_at < $2 LIMIT $3) early',
        parent || '_default') INTO early USING day::timestamptz, (day + 1)::timestamptz, most_early + 1;
      CONTINUE WHEN early > most_early;
      BEGIN
        EXECUTE format('CREATE TABLE hark.%I (LIKE hark.%I INCLUDING DEFAULTS INCLUDING STORAGE)', partition, parent);
        EXECUTE format('ALTER TABLE hark.%I REPLICA IDENTITY FULL', partition); -- see 0001_storage.sql
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

-- Drops the oldest day of history that is older than `keep_days`, and deletes some rows of that age
-- that found no partition of their day: call it until it returns zeros. `waiting` counts days whose
-- lock another session holds; they are for the next time. A drop locks the whole history, and while
-- that request waits, no outcome can be written. Hence the partition is locked first, since a long
-- reader or writer of the history mostly holds that too, and no request waits for longer than 50
-- ms. DETACH ... CONCURRENTLY would lock less, but runs in no function, and not beside a default
-- partition.
CREATE FUNCTION hark.drop_partitions(keep_days integer, OUT dropped integer, OUT deleted integer, OUT waiting integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hark, pg_temp SET lock_timeout = '50ms' SET timezone = 'UTC' AS $$
DECLARE
  most_deleted CONSTANT integer := 10000;
  partition text;
  more integer;
BEGIN
  IF keep_days IS NULL OR keep_days NOT BETWEEN 1 AND 1000000 THEN
    RAISE EXCEPTION 'hark.drop_partitions expects keep_days from 1 to 1000000, not %: nothing was dropped',
      coalesce(keep_days::text, 'null') USING ERRCODE = 'invalid_parameter_value';
  END IF;
  dropped := 0; deleted := 0; waiting := 0;
  IF NOT hark.is_alone_at('partitions') THEN RETURN; END IF;
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

-- Takes back what a rescue has held against the jobs of these claims, whose worker was declared
-- dead and lives: it was cut off, or stood still. Their ledger says `interrupted` instead of
-- `crashed`, and what the crash has counted is given back: of a job that runs again only the crash,
-- since its worker counts its attempts. Dead letters of dead workers become ready again, unless
-- they had one attempt, which may have done its work, or their unique key has another job. Returns
-- how many crashes it took back; each is taken back once.
CREATE FUNCTION hark.absolve_claims(ids bigint[], tokens uuid[]) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = hark, pg_temp AS $$
  WITH absolved AS (
    UPDATE attempts SET ending = 'interrupted'
     WHERE job_id = ANY (ids) AND token = ANY (tokens) AND ending = 'crashed' RETURNING job_id),
  waiting AS (
    UPDATE jobs SET attempt = greatest(attempt - 1, 0), crash_count = greatest(crash_count - 1, 0)
     WHERE id = ANY (ARRAY(SELECT job_id FROM absolved))),
  running AS (
    UPDATE running_jobs SET crash_count = greatest(crash_count - 1, 0)
     WHERE id = ANY (ARRAY(SELECT job_id FROM absolved))),
  buried AS MATERIALIZED (
    SELECT * FROM dead_jobs
     WHERE id = ANY (ARRAY(SELECT job_id FROM absolved)) AND reason = 'worker_died' AND max_attempts > 1 FOR UPDATE),
  keyed AS (
    INSERT INTO unique_keys (queue, unique_key, job_id)
    SELECT queue, unique_key, id FROM buried WHERE unique_key IS NOT NULL ORDER BY queue, unique_key
    ON CONFLICT DO NOTHING RETURNING job_id),
  taken AS (
    DELETE FROM dead_jobs WHERE id = ANY (ARRAY(
      SELECT id FROM buried WHERE unique_key IS NULL OR id IN (SELECT job_id FROM keyed))) RETURNING *),
  back AS (
    INSERT INTO jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key, run_at,
                      created_at, state)
    SELECT id, queue, type, payload, priority, attempt - 1, max_attempts, greatest(crash_count - 1, 0), key, unique_key,
           clock_timestamp(), created_at, 'ready' FROM taken ORDER BY id)
  SELECT count(*)::integer FROM absolved
$$;--> statement-breakpoint

-- Takes dead letters off the counts, which a statement of Hark's or an operator by hand has removed
-- (FM-62).
CREATE FUNCTION hark.discount_dead_jobs() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hark, pg_temp AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    INSERT INTO stats (queue, dead) SELECT queue, -sum(dead) FROM stats GROUP BY queue HAVING sum(dead) <> 0;
  ELSE
    INSERT INTO stats (queue, dead) SELECT queue, -count(*) FROM gone GROUP BY queue;
  END IF;
  RETURN NULL;
END $$;--> statement-breakpoint
CREATE TRIGGER dead_jobs_discount AFTER DELETE ON hark.dead_jobs
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION hark.discount_dead_jobs();--> statement-breakpoint
CREATE TRIGGER dead_jobs_discount_all AFTER TRUNCATE ON hark.dead_jobs
  FOR EACH STATEMENT EXECUTE FUNCTION hark.discount_dead_jobs();--> statement-breakpoint

-- PostgreSQL opens every new function to PUBLIC (SEC-02). docs/how-to/roles.md says what to grant
-- to whom.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA hark FROM PUBLIC;
