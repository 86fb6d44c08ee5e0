-- Four roles without a login, for least privilege: hark_producer, hark_worker, hark_reader,
-- hark_admin. None inherits another (SEC-01). They are optional. "hark migrate --roles" runs this
-- file after the migrations, "hark migrate --roles --sql" prints it. Run it again after every
-- migration: it may be run any number of times. Run it as the schema's owner, with CREATEROLE while
-- a role is missing. Then: create role shop login password '...' in role hark_producer;

DO $$
DECLARE
  role text;
BEGIN
  FOREACH role IN ARRAY ARRAY['hark_producer', 'hark_worker', 'hark_reader', 'hark_admin'] LOOP
    CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = role);
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN', role);
    EXCEPTION
      WHEN duplicate_object OR unique_violation THEN NULL; -- roles belong to the whole server: another database created it first
    END;
  END LOOP;
END $$;

-- The owner of each job: the login that enqueued it through one of Hark's functions. Rows are kept
-- for 30 days, in a table that no role may read.
CREATE TABLE IF NOT EXISTS hark.job_owners (
  job_id bigint PRIMARY KEY,
  owner name NOT NULL,
  created_at timestamptz NOT NULL
);

-- Checks what enqueue_many checks before it writes and insert_jobs leaves to its caller, which may
-- be any login with hark_producer. Also records the owner of the new jobs. The limit is that of an
-- encrypted payload: one and a half times the plain 256 KiB.
CREATE OR REPLACE FUNCTION hark.receive_jobs() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hark, pg_temp AS $$
DECLARE
  wrong text;
  received integer;
BEGIN
  SELECT complaint INTO wrong
    FROM fresh, LATERAL (SELECT CASE
      WHEN octet_length(payload::text) > 393216 THEN 'has a payload over 393216 bytes'
      WHEN is_beyond_json(payload)
        THEN 'has a payload nested deeper than 64 levels, or with a number beyond the range of a double'
      WHEN NOT isfinite(run_at) OR run_at > created_at + interval '100 years 1 day' THEN 'is due in more than 100 years'
      WHEN run_at < '1970-01-01 00:00:00Z' THEN 'was due before 1970'
      WHEN max_attempts > 1000 THEN 'has max_attempts over 1000'
    END AS complaint) judged
   WHERE complaint IS NOT NULL LIMIT 1;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'nothing was enqueued: a job %', wrong USING ERRCODE = 'invalid_parameter_value';
  END IF;

  INSERT INTO job_owners (job_id, owner, created_at)
  SELECT id, session_user, created_at FROM fresh WHERE attempt = 0 AND crash_count = 0 ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS received = ROW_COUNT;

  -- One insert in fifty deletes the oldest rows, a hundred for each job it inserted: twice as many
  -- as arrive.
  IF random() < 0.02 THEN
    DELETE FROM job_owners WHERE created_at < clock_timestamp() - interval '30 days' AND job_id = ANY (ARRAY(
      SELECT job_id FROM job_owners ORDER BY job_id LIMIT least(100 * received, 10000) FOR UPDATE SKIP LOCKED));
  END IF;
  RETURN NULL;
END $$;

-- Fires only for inserts by a login other than the schema's owner, which come through Hark's
-- functions. Workers put jobs back without it, and the owner pays nothing.
CREATE OR REPLACE TRIGGER jobs_receive AFTER INSERT ON hark.jobs
  REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT
  WHEN (session_user <> current_user) EXECUTE FUNCTION hark.receive_jobs();

-- Returns the state and outcome of a job that the caller's login enqueued. Returns no row for other
-- jobs, or for one that ended long ago. `state` is 'waiting' or 'running' until it is 'completed',
-- 'cancelled' or 'dead'.
CREATE OR REPLACE FUNCTION hark.job_result(job_id bigint)
RETURNS TABLE (state text, result jsonb, error text, finished_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = hark, pg_temp AS $$
  WITH own AS MATERIALIZED (
    SELECT held.job_id AS id, held.created_at FROM hark.job_owners held
     WHERE held.job_id = job_result.job_id AND owner = session_user)
  SELECT 'waiting', NULL::jsonb, NULL::text, NULL::timestamptz FROM hark.jobs WHERE id = (SELECT id FROM own)
  UNION ALL
  SELECT 'running', NULL, NULL, NULL FROM hark.running_jobs WHERE id = (SELECT id FROM own)
  UNION ALL
  SELECT job ->> 'state', nullif((job ->> 'result')::jsonb, 'null'), NULL, (job ->> 'finished_at')::timestamptz
    FROM own, hark.finished_job_between(own.id, own.created_at - interval '1 day', 'infinity', true) job WHERE job IS NOT NULL
  UNION ALL
  SELECT 'dead', NULL, error, finished_at FROM hark.dead_jobs WHERE id = (SELECT id FROM own)
$$;

-- Starts from no grants, so that grants of an earlier version are removed.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA hark FROM PUBLIC, hark_producer, hark_worker, hark_reader, hark_admin;
REVOKE ALL ON ALL TABLES IN SCHEMA hark FROM PUBLIC, hark_producer, hark_worker, hark_reader, hark_admin;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA hark FROM PUBLIC, hark_producer, hark_worker, hark_reader, hark_admin;
REVOKE ALL ON SCHEMA hark FROM PUBLIC, hark_producer, hark_worker, hark_reader, hark_admin;
GRANT USAGE ON SCHEMA hark TO hark_producer, hark_worker, hark_reader, hark_admin;

-- Enqueues, asks how full a queue is, and reads the results of its own jobs. It can read no table.
GRANT EXECUTE ON FUNCTION hark.enqueue, hark.enqueue_many, hark.insert_jobs, hark.queue_depth, hark.job_result, hark.advance_ids
  TO hark_producer;

-- Runs jobs: the statements of core that move jobs, locks and upkeep.
GRANT SELECT ON hark.migrations TO hark_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON hark.jobs, hark.running_jobs, hark.workers, hark.locks, hark.stats TO hark_worker;
GRANT SELECT, UPDATE, DELETE ON hark.hosts TO hark_worker; -- filled by take_turn, swept by upkeep
GRANT SELECT, INSERT ON hark.finished_jobs, hark.attempts TO hark_worker;
GRANT INSERT ON hark.dead_jobs TO hark_worker;
GRANT SELECT, INSERT, UPDATE ON hark.schedules TO hark_worker; -- fired by a function, which records the ticks
GRANT USAGE ON SEQUENCE hark.fence_numbers TO hark_worker;
GRANT EXECUTE ON FUNCTION hark.create_partitions, hark.drop_partitions, hark.next_fence, hark.fire_schedule, hark.take_turn,
  hark.absolve_claims, hark.lock_row, hark.separate_ids TO hark_worker;
-- Vacuums the tables that jobs move through, where PostgreSQL can grant that (from 17 on). Before,
-- only autovacuum does.
DO $$
BEGIN
  IF current_setting('server_version_num')::integer >= 170000 THEN
    EXECUTE 'GRANT MAINTAIN ON hark.jobs, hark.running_jobs, hark.unique_keys TO hark_worker';
  END IF;
END $$;

-- Reads everything except payloads, results and tokens, which prove ownership. Errors are included,
-- since readers look for them.
GRANT SELECT ON hark.migrations, hark.stats TO hark_reader;
GRANT SELECT (id, queue, type, priority, attempt, max_attempts, crash_count, key, unique_key, run_at, created_at, state)
  ON hark.jobs TO hark_reader;
GRANT SELECT (id, queue, type, priority, attempt, max_attempts, crash_count, key, unique_key, run_at, created_at, started_at, worker,
              hands_off, begun)
  ON hark.running_jobs TO hark_reader;
GRANT SELECT (id, queue, type, priority, attempt, max_attempts, crash_count, key, unique_key, run_at, created_at, state, started_at,
              finished_at, worker) ON hark.finished_jobs TO hark_reader;
GRANT SELECT (id, queue, type, priority, attempt, max_attempts, crash_count, key, unique_key, run_at, created_at, reason, error,
              started_at, finished_at) ON hark.dead_jobs TO hark_reader;
GRANT SELECT (job_id, queue, type, attempt, ending, error, worker, started_at, finished_at, retry_at) ON hark.attempts TO hark_reader;
GRANT SELECT (id, name, hostname, pid, queues, started_at, expires_at, steady_since, dead_at) ON hark.workers TO hark_reader;
GRANT SELECT (key, owner, fence, acquired_at, expires_at) ON hark.locks TO hark_reader;
GRANT SELECT (name, cron, zone, every_ms, missed, queue, type, priority, max_attempts, key, unique_key, revision, next_at, changed_at)
  ON hark.schedules TO hark_reader;
GRANT SELECT ON hark.schedule_ticks, hark.hosts, hark.fences TO hark_reader;
GRANT EXECUTE ON FUNCTION hark.finished_job, hark.finished_job_between, hark.attempts_of TO hark_reader, hark_admin;

-- Reads everything and acts: enqueues, cancels, requeues and removes schedules. It cannot act as a
-- worker: it can register none, claim no job and take no lock.
GRANT SELECT ON ALL TABLES IN SCHEMA hark TO hark_admin;
REVOKE ALL ON hark.job_owners FROM hark_admin;
GRANT INSERT, UPDATE, DELETE ON hark.jobs, hark.dead_jobs TO hark_admin;
GRANT DELETE ON hark.schedules, hark.schedule_ticks TO hark_admin;
GRANT DELETE ON hark.running_jobs TO hark_admin;
GRANT INSERT ON hark.finished_jobs, hark.attempts, hark.unique_keys, hark.stats TO hark_admin;
GRANT UPDATE (job_id) ON hark.unique_keys TO hark_admin;
GRANT EXECUTE ON FUNCTION hark.enqueue, hark.enqueue_many, hark.insert_jobs, hark.queue_depth, hark.job_result, hark.hand_off,
  hark.advance_ids, hark.separate_ids TO hark_admin;
