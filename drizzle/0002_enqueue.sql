-- Enqueueing. Every function that runs as the owner pins its search path (SEC-03).

-- Inserts jobs from one JSON array and returns each one's id in the order given: 'inserted', or
-- 'duplicate' with the id of the unfinished job that holds the unique key. Every way of enqueueing
-- ends here; the callers have checked the fields.
CREATE FUNCTION hark.insert_jobs(jobs jsonb) RETURNS TABLE (id bigint, status text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hark, pg_temp AS $$
#variable_conflict use_column
DECLARE
  called_at timestamptz := clock_timestamp();
  ids bigint[] := ARRAY(SELECT nextval('hark.jobs_id_seq') FROM generate_series(1, jsonb_array_length(jobs)));
  -- By place: 1 a duplicate, 2 a job behind another of its key. Reading one element takes the same
  -- time in an array of any length, as its elements have one length.
  marks integer[] := array_fill(0, ARRAY[cardinality(ids)]);
  wanted record;
  holder bigint;
  is_held boolean;
  last_queue text;
  last_key text;
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
        -- In one look, or a job that is claimed in between would be in neither table.
        SELECT job_id, EXISTS (SELECT FROM hark.jobs WHERE id = job_id) OR EXISTS (SELECT FROM running_jobs WHERE id = job_id)
          INTO holder, is_held FROM unique_keys held
         WHERE held.queue = wanted.queue AND held.unique_key = wanted.unique_key;
        CONTINUE WHEN NOT FOUND; -- the holder finished in between and freed the key
        IF is_held OR (wanted.queue = last_queue AND wanted.unique_key = last_key) THEN
          ids[wanted.place] := holder;
          marks[wanted.place] := 1;
          EXIT;
        END IF;
        -- The holder was deleted by hand: this job takes its key over, unless another one just did.
        UPDATE unique_keys held SET job_id = ids[wanted.place]
         WHERE held.queue = wanted.queue AND held.unique_key = wanted.unique_key AND job_id = holder;
        EXIT WHEN FOUND;
      END LOOP;
      last_queue := wanted.queue;
      last_key := wanted.unique_key;
    END LOOP;
  END IF;

  -- Of the jobs of one key that are due, all but the most urgent are parked behind that one, so
  -- that no claim has to look at them (docs/decisions/0029). It becomes visible with them, and
  -- whatever takes it away hands the key on.
  IF cardinality(ids) > 1 AND jobs @? '$[*].key' THEN
    FOR wanted IN
      SELECT place FROM (
        SELECT ordinality::integer AS place, row_number() OVER (
                 PARTITION BY coalesce(queue, 'default'), key ORDER BY coalesce(priority, 0) DESC, ordinality) AS in_line
          FROM ROWS FROM (jsonb_to_recordset(jobs) AS (queue text, key text, priority integer, run_at timestamptz,
                 delay_ms float8)) WITH ORDINALITY AS job
         WHERE key IS NOT NULL AND marks[ordinality] = 0
           AND coalesce(run_at, called_at + delay_ms * interval '1 ms', called_at) <= called_at) due
       WHERE in_line > 1
    LOOP
      marks[wanted.place] := 2;
    END LOOP;
  END IF;

  INSERT INTO hark.jobs (id, queue, type, payload, priority, attempt, max_attempts, crash_count, key, unique_key, run_at,
                         created_at, state)
  SELECT ids[ordinality], coalesce(queue, 'default'), type, coalesce(payload, 'null'), coalesce(priority, 0), 0,
         coalesce(max_attempts, 3), 0, key, unique_key, due.at, called_at,
         CASE WHEN marks[ordinality] = 2 THEN 'parked' WHEN due.at <= called_at THEN 'ready' ELSE 'scheduled' END
    FROM ROWS FROM (jsonb_to_recordset(jobs) AS (type text, payload jsonb, queue text, run_at timestamptz, delay_ms float8,
           priority integer, max_attempts smallint, key text, unique_key text)) WITH ORDINALITY AS job,
         LATERAL (SELECT coalesce(run_at, called_at + delay_ms * interval '1 ms', called_at) AS at) due
   WHERE marks[ordinality] <> 1;

  -- In order without a sort, like the insert above: each reads one function's rows as they come.
  RETURN QUERY SELECT ids[place], CASE WHEN marks[place] = 1 THEN 'duplicate' ELSE 'inserted' END
    FROM generate_series(1, cardinality(ids)) place;
END $$;--> statement-breakpoint

-- Whether a payload is nested deeper than 64 levels, or has a number that JavaScript reads as
-- infinite. The client refuses the same.
CREATE FUNCTION hark.is_beyond_json(payload jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = hark, pg_temp AS $$
  SELECT payload @? 'strict $.**{64} ? (@.type() == "object" || @.type() == "array")'
      OR payload @? 'strict $.**{0 to 64} ? (@.type() == "number"
           && (@ >= 1.797693134862315808e308 || @ <= -1.797693134862315808e308))';
$$;--> statement-breakpoint

-- The public contract for many jobs, for any language: an array of objects with `type` and,
-- optionally, `payload`, `queue`, `run_at`, `delay_ms`, `priority`, `max_attempts`, `key`,
-- `unique_key`. Refuses what it does not know, before it writes.
CREATE FUNCTION hark.enqueue_many(jobs jsonb) RETURNS TABLE (id bigint, status text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hark, pg_temp AS $$
#variable_conflict use_column
DECLARE
  wrong text;
BEGIN
  IF jsonb_typeof(jobs) IS DISTINCT FROM 'array' THEN
    RAISE EXCEPTION 'hark.enqueue_many expects a JSON array of jobs, not %', coalesce(jsonb_typeof(jobs), 'null')
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
      WHEN hark.is_beyond_json(item -> 'payload')
        THEN 'has a payload nested deeper than 64 levels, or with a number beyond the range of a double'
      WHEN octet_length(item ->> 'key') NOT BETWEEN 1 AND 1024 OR octet_length(item ->> 'unique_key') NOT BETWEEN 1 AND 1024
        THEN 'has a key not of 1 to 1024 bytes'
      WHEN item ? 'run_at' AND item ? 'delay_ms' THEN 'has both run_at and a delay'
      WHEN (item ->> 'run_at')::timestamptz NOT BETWEEN '1970-01-01 00:00:00Z'
           AND least(clock_timestamp() + make_interval(secs => 3155760000), '9999-12-31 23:59:59.999Z')
        THEN 'has a run_at not from 1970 to 100 years ahead'
      WHEN (item ->> 'delay_ms')::float8 NOT BETWEEN 0 AND 3155760000000 THEN 'has a delay not between 0 and 100 years'
      WHEN (item ->> 'max_attempts')::integer NOT BETWEEN 1 AND 1000 THEN 'has max_attempts not between 1 and 1000'
    END AS complaint) judged
   WHERE complaint IS NOT NULL ORDER BY place LIMIT 1;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'nothing was enqueued: %', wrong USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN QUERY SELECT id, status FROM hark.insert_jobs(jobs);
END $$;--> statement-breakpoint

-- Enqueues one job from psql, a trigger or any language, and returns its id (or that of the
-- unfinished job with the same unique key): select hark.enqueue('email.welcome', '{"userId":
-- "u1"}', delay => interval '5 min');
CREATE FUNCTION hark.enqueue(
  type text, payload jsonb, queue text DEFAULT 'default', run_at timestamptz DEFAULT NULL, delay interval DEFAULT NULL,
  priority integer DEFAULT 0, key text DEFAULT NULL, unique_key text DEFAULT NULL, max_attempts integer DEFAULT 3
) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = hark, pg_temp AS $$
  SELECT id FROM hark.enqueue_many(jsonb_build_array(jsonb_strip_nulls(jsonb_build_object(
    'type', type, 'queue', queue, 'run_at', run_at, 'delay_ms', extract(epoch FROM delay) * 1000, 'priority', priority,
    'key', key, 'unique_key', unique_key, 'max_attempts', max_attempts)) || jsonb_build_object('payload', payload)));
$$;--> statement-breakpoint

-- How many ready jobs wait in a queue, counted no further than `up_to`: for producers that stop
-- when it is full. By the index, whatever stale statistics say, since it is asked again and again.
CREATE FUNCTION hark.queue_depth(queue text, up_to integer) RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = hark, pg_temp SET enable_seqscan = off AS $$
  SELECT count(*)::integer
    FROM (SELECT FROM hark.jobs ready WHERE ready.queue = queue_depth.queue AND ready.state = 'ready' LIMIT up_to) counted;
$$;--> statement-breakpoint

-- PostgreSQL opens every new function to PUBLIC (SEC-02). docs/how-to/roles.md says what to grant
-- to whom.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA hark FROM PUBLIC;
