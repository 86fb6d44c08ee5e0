-- Keys: jobs with the same key never run at the same time. Unique keys: at most one unfinished job
-- has each. Fences: the numbers of locks that application code takes by key. Turns: jobs that visit
-- one host start apart.

-- Locks a row of hark.row_locks until the transaction ends, after those who have it. An advisory
-- lock would do the same for any login that knows its number, and keep Hark's functions waiting.
CREATE FUNCTION hark.lock_row(name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hark, pg_temp AS $$
BEGIN
  LOOP
    PERFORM FROM row_locks WHERE row_locks.name = lock_row.name FOR UPDATE;
    EXIT WHEN FOUND;
    INSERT INTO row_locks (name) VALUES (lock_row.name) ON CONFLICT DO NOTHING;
  END LOOP;
END $$;--> statement-breakpoint

-- Hands a key over: the most urgent parked job of the key becomes ready. Called when a running job
-- of the key leaves, by the trigger below, and when a ready job of the key is cancelled
-- (cancel-job.ts), since the next may be parked behind that one. Then it does not matter whether
-- another of the key is ready or runs: a claim finds the blocked one and it is parked again. A
-- function, since both callers may have waited for a row lock while others were parked, and their
-- own snapshot would not show those (FM-40). No trigger on jobs, since claims delete ready jobs
-- too. It runs with the caller's rights and pins no search path, as the trigger has done so
-- already: to set it a second time made each hand-off a tenth slower.
--
-- It never waits for a row that another transaction holds locked, or one such would hold up every
-- job that is settled in the same statement. If all that wait are locked, workers are told to look
-- after them (the worker's unpark.ts). So they are if the transaction has one snapshot for all of
-- its statements: that need not show what was parked meanwhile, and others may have changed what it
-- shows. Such a change must not fail the caller's transaction.
CREATE FUNCTION hark.hand_off(queue text, key text) RETURNS void
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  sees_all boolean := current_setting('transaction_isolation') = 'read committed';
BEGIN
  IF sees_all THEN
    UPDATE hark.jobs SET state = 'ready', run_at = clock_timestamp() WHERE id = (
      SELECT id FROM hark.jobs WHERE queue = hand_off.queue AND key = hand_off.key AND state = 'parked'
       ORDER BY priority DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED);
  ELSE
    BEGIN
      UPDATE hark.jobs SET state = 'ready', run_at = clock_timestamp() WHERE id = (
        SELECT id FROM hark.jobs WHERE queue = hand_off.queue AND key = hand_off.key AND state = 'parked'
         ORDER BY priority DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED);
    EXCEPTION WHEN serialization_failure THEN
      PERFORM pg_notify('key_waits', hand_off.queue);
      RETURN;
    END;
  END IF;
  IF NOT FOUND AND (NOT sees_all OR EXISTS (
    SELECT FROM hark.jobs WHERE queue = hand_off.queue AND key = hand_off.key AND state = 'parked'))
  THEN
    PERFORM pg_notify('key_waits', hand_off.queue);
  END IF;
END $$;--> statement-breakpoint

-- A trigger, so that no way out of running_jobs can forget the hand-off. The WHEN keeps it off jobs
-- without a key. Nothing is left to do if the key runs again, or if this transaction itself has
-- made its next job ready (complete-and-claim-next.ts). Two others do not count. One that was ready
-- before: a claim that has not committed may have taken it already, with a snapshot that does not
-- show what was parked since. And one that this transaction inserted, or brought back from running:
-- others before it may be parked.
CREATE FUNCTION hark.hand_off_key() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hark, pg_temp AS $$
BEGIN
  PERFORM hark.hand_off(OLD.queue, OLD.key)
    WHERE NOT EXISTS (SELECT FROM running_jobs WHERE queue = OLD.queue AND key = OLD.key)
      AND NOT coalesce((
        SELECT xmin = pg_current_xact_id()::xid AND created_at < now() AND id <> OLD.id FROM jobs
         WHERE queue = OLD.queue AND key = OLD.key AND state = 'ready' ORDER BY priority DESC, id LIMIT 1), false);
  RETURN NULL;
END $$;--> statement-breakpoint
CREATE TRIGGER running_jobs_hand_off AFTER DELETE ON hark.running_jobs
  FOR EACH ROW WHEN (OLD.hands_off) EXECUTE FUNCTION hark.hand_off_key();--> statement-breakpoint

-- A finished job gives its unique key back, whichever way it finished. It does not wait for a row
-- that another transaction holds locked, or that would hold up all that is settled in the same
-- statement (FM-77). The row is left then, and the next job of the key takes it over
-- (hark.insert_jobs).
CREATE FUNCTION hark.free_unique_key() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hark, pg_temp AS $$
BEGIN
  DELETE FROM unique_keys WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM unique_keys WHERE queue = NEW.queue AND unique_key = NEW.unique_key AND job_id = NEW.id
       FOR UPDATE SKIP LOCKED));
  RETURN NULL;
END $$;--> statement-breakpoint
CREATE TRIGGER finished_jobs_free_unique_key AFTER INSERT ON hark.finished_jobs
  FOR EACH ROW WHEN (NEW.unique_key IS NOT NULL) EXECUTE FUNCTION hark.free_unique_key();--> statement-breakpoint
CREATE TRIGGER dead_jobs_free_unique_key AFTER INSERT ON hark.dead_jobs
  FOR EACH ROW WHEN (NEW.unique_key IS NOT NULL) EXECUTE FUNCTION hark.free_unique_key();--> statement-breakpoint

-- The next fence: an era in the high bits, a number in the low 40. A promoted standby and a copy of
-- the database may repeat the number, so each begins a higher era (FM-48, FM-82): the row of
-- hark.fences says where the present one began, and comes along in every copy. Eras count the hours
-- since 2025, so that two copies of one dump rarely share one. Should the row be older than a lock,
-- the next era begins above that lock's fence. 2^40 grants an era; the sequence refuses rather than
-- wraps. It keeps other callers for the key out until this transaction ends: an insert that draws
-- its number, then waits, would otherwise still find the key free after a later number had come and
-- gone, and be granted the lower one.
CREATE SEQUENCE hark.fence_numbers MAXVALUE 1099511627775;--> statement-breakpoint
CREATE FUNCTION hark.next_fence(key text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hark, pg_temp AS $$
DECLARE
  low_bits CONSTANT integer := 40;
  cluster text := '';
  timeline text := '';
  here text;
  present bigint; -- the era
  fence bigint;
  seen bigint;
BEGIN
  PERFORM hark.lock_row('fence ' || (hashtextextended(next_fence.key, 0) & 255));
  BEGIN
    cluster := (pg_control_system()).system_identifier::text;
    timeline := left(pg_walfile_name(pg_current_wal_lsn()), 8);
  EXCEPTION WHEN object_not_in_prerequisite_state OR insufficient_privilege OR feature_not_supported THEN
    -- Aurora knows no timelines: its standbys share the storage, and lose nothing when promoted
  END;
  here := concat_ws(' ', cluster, timeline, 'hark.fences'::regclass::oid);
  SELECT held.fence INTO seen FROM locks held WHERE held.key = next_fence.key;
  LOOP
    SELECT era INTO present FROM fences WHERE origin = here;
    fence := (present << low_bits) | nextval('fence_numbers');
    EXIT WHEN fence > coalesce(seen, 0);
    PERFORM hark.lock_row('fences'); -- or two first callers would each insert the row
    INSERT INTO fences (origin, era) SELECT '', 0 WHERE NOT EXISTS (SELECT FROM fences);
    UPDATE fences SET origin = here,
           era = greatest(era, seen >> low_bits, extract(epoch FROM clock_timestamp() - '2025-01-01'::timestamptz)::bigint / 3600) + 1
     WHERE origin <> here OR era <= seen >> low_bits;
  END LOOP;
  RETURN fence;
END $$;--> statement-breakpoint

-- A turn is a moment at which one job of a host may start. Turns of a host are `delay_ms` apart,
-- whichever processes ask for them, by the database's clock, which is read once the host's row is
-- locked. A turn within `patience_ms` is granted, and the caller waits for it. For a later one the
-- caller is told when to ask again, and its place in line is noted, so that each of many callers
-- comes back at a turn of its own. Callers with a higher priority do not stand in the lines of
-- lower ones, and no caller takes the turn for which a higher one was told to come. A caller whose
-- turn was taken goes to the end of its line. Nobody is sent away for longer than ten minutes,
-- since those before it may never come back.
CREATE FUNCTION hark.take_turn(host text, priority integer, delay_ms float8, patience_ms float8,
  OUT is_granted boolean, OUT wait_ms float8)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hark, pg_temp AS $$
#variable_conflict use_column
DECLARE
  longest_wait CONSTANT interval := '10 min';
  delay CONSTANT interval := delay_ms * interval '1 ms';
  line CONSTANT integer := 1 + least(greatest(take_turn.priority, 0), 10);
  known hosts;
  called_at timestamptz;
  turn timestamptz;
BEGIN
  LOOP
    SELECT * INTO known FROM hosts WHERE host = take_turn.host FOR UPDATE;
    EXIT WHEN FOUND;
    INSERT INTO hosts (host, free_at, lines)
    VALUES (take_turn.host, '-infinity', array_fill(NULL::timestamptz, ARRAY[11])) ON CONFLICT DO NOTHING;
  END LOOP;
  called_at := clock_timestamp();
  turn := greatest(known.free_at, called_at);
  is_granted := turn <= called_at + patience_ms * interval '1 ms'
    AND coalesce((SELECT max(ends_at) FROM unnest(known.lines[line + 1:]) ends_at) <= turn, true);
  IF is_granted THEN
    UPDATE hosts SET free_at = turn + delay WHERE host = take_turn.host;
  ELSE
    turn := least(greatest(turn, (SELECT max(ends_at) FROM unnest(known.lines[line:]) ends_at)), called_at + longest_wait);
    UPDATE hosts SET lines[line] = turn + delay WHERE host = take_turn.host;
  END IF;
  wait_ms := extract(epoch FROM turn - called_at) * 1000;
END $$;--> statement-breakpoint

-- PostgreSQL opens every new function to PUBLIC (SEC-02). docs/how-to/roles.md says what to grant
-- to whom.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA hark FROM PUBLIC;
