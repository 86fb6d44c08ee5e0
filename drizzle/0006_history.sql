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
-- how many crashes it took back; each is taken back once. Crashes of the last week are looked at,
-- as a bound on how many days of history are read.
CREATE FUNCTION hark.absolve_claims(ids bigint[], tokens uuid[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hark, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  since timestamptz := clock_timestamp() - interval '7 days';
  taken_back integer;
BEGIN
  WITH absolved AS (
    UPDATE attempts SET ending = 'interrupted'
     WHERE job_id = ANY (ids) AND token = ANY (tokens) AND ending = 'crashed' AND finished_at >= since RETURNING job_id),
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
  SELECT count(*)::integer INTO taken_back FROM absolved;
  RETURN taken_back;
END $$;--> statement-breakpoint

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

-- Returns the finished job of an id, if it ended in this time, as finished_job does.
CREATE FUNCTION hark.finished_job_between(wanted bigint, since timestamptz, until timestamptz, with_payload boolean) RETURNS json
LANGUAGE plpgsql STABLE SET search_path = hark, pg_temp SET plan_cache_mode = force_custom_plan AS $$
BEGIN
  IF with_payload THEN
    RETURN (SELECT row_to_json(shown) FROM (
      SELECT id::text, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key, run_at, created_at,
             state, started_at, finished_at, result
        FROM finished_jobs WHERE id = wanted AND finished_at >= since AND finished_at < until LIMIT 1) shown);
  END IF;
  RETURN (SELECT row_to_json(shown) FROM (
    SELECT id::text, queue, type, NULL::jsonb AS payload, priority, attempt, max_attempts, crash_count, key, unique_key, run_at,
           created_at, state, started_at, finished_at, NULL::jsonb AS result
      FROM finished_jobs WHERE id = wanted AND finished_at >= since AND finished_at < until LIMIT 1) shown);
END $$;--> statement-breakpoint

-- Returns a finished job by its id, as JSON; without payload and result if the caller may not read
-- them. No index spans the days of history, and a query over all of them plans and locks each one.
-- Hence it asks in steps: the first rows of a few days tell when about the id was given out, and
-- from there on the steps grow, first towards now. Bounds are variables of their column's type, and
-- so constants when a query is planned: it meets only its own days.
CREATE FUNCTION hark.finished_job(wanted bigint, with_payload boolean) RETURNS json
LANGUAGE plpgsql STABLE SET search_path = hark, pg_temp SET timezone = 'UTC' SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  days timestamptz[] := ARRAY(
    SELECT to_date(right(relname, 8), 'YYYYMMDD')::timestamptz FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
     WHERE inhparent = 'hark.finished_jobs'::regclass AND relname ~ '_[0-9]{8}$' AND right(relname, 8) <= to_char(now(), 'YYYYMMDD')
     ORDER BY right(relname, 8));
  low integer := 1;
  high integer := cardinality(days);
  middle integer;
  seen bigint;
  start timestamptz;
  since timestamptz;
  until timestamptz;
  step interval := '4 days';
  job json;
BEGIN
  WHILE low < high LOOP
    middle := (low + high + 1) / 2;
    since := days[middle];
    until := since + interval '1 day';
    SELECT id INTO seen FROM finished_jobs WHERE finished_at >= since AND finished_at < until LIMIT 1;
    IF seen IS NULL THEN -- no job ended that day: the next week tells
      until := days[least(middle + 7, high)] + interval '1 day';
      SELECT id INTO seen FROM finished_jobs WHERE finished_at >= since AND finished_at < until LIMIT 1;
    END IF;
    IF seen <= wanted THEN low := middle; ELSE high := middle - 1; END IF;
  END LOOP;

  start := coalesce(days[low], now()) - interval '1 day';
  until := start;
  WHILE job IS NULL AND until < 'infinity' LOOP
    since := until;
    until := CASE WHEN since + step > now() THEN 'infinity' ELSE since + step END;
    step := step * 2;
    job := hark.finished_job_between(wanted, since, until, with_payload);
  END LOOP;
  since := start;
  step := '4 days';
  WHILE job IS NULL AND since > '-infinity' LOOP
    until := since;
    since := CASE WHEN until - step > days[1] THEN until - step ELSE '-infinity' END;
    step := step * 2;
    job := hark.finished_job_between(wanted, since, until, with_payload);
  END LOOP;
  RETURN job;
END $$;--> statement-breakpoint

-- Returns the endings of a job's attempts as JSON, oldest first, without their tokens if the caller
-- may not read them. Only the days of the job's life are read, and one more at each end, since
-- clocks of servers differ.
CREATE FUNCTION hark.attempts_of(wanted bigint, created_at timestamptz, finished_at timestamptz, with_tokens boolean) RETURNS json
LANGUAGE plpgsql STABLE SET search_path = hark, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  since timestamptz := created_at - interval '1 day';
  until timestamptz := coalesce(finished_at + interval '1 day', 'infinity');
BEGIN
  IF with_tokens THEN
    RETURN (SELECT coalesce(json_agg(shown ORDER BY shown.finished_at), '[]') FROM (
      SELECT job_id::text, queue, type, attempt, ending, error, worker, token, started_at, ended.finished_at, retry_at
        FROM attempts ended WHERE job_id = wanted AND ended.finished_at >= since AND ended.finished_at <= until) shown);
  END IF;
  RETURN (SELECT coalesce(json_agg(shown ORDER BY shown.finished_at), '[]') FROM (
    SELECT job_id::text, queue, type, attempt, ending, error, worker, NULL::uuid AS token, started_at, ended.finished_at, retry_at
      FROM attempts ended WHERE job_id = wanted AND ended.finished_at >= since AND ended.finished_at <= until) shown);
END $$;--> statement-breakpoint

-- PostgreSQL opens every new function to PUBLIC (SEC-02). docs/how-to/roles.md says what to grant
-- to whom.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA hark FROM PUBLIC;
