-- Recurring jobs.

-- Fires a schedule: moves it from the tick that is due to the next, and enqueues a job for each of
-- `ticks` that was not fired before, all in one transaction. Returns how many jobs; null if there
-- was nothing to fire: another scheduler was quicker, the declaration changed, or by this server's
-- clock it is not time yet. The caller works out the ticks, since it knows time zones. What makes
-- any number of callers right is here: `next_at` moves on from the value they read and from no
-- other, and a tick has one row (docs/decisions/0019). A function, since a role that runs jobs may
-- not call insert_jobs.
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
   WHERE ctid = ANY (ARRAY(
     SELECT ctid FROM schedules
      WHERE name = fire_schedule.schedule AND revision = read_revision AND next_at = due AND due <= called_at
        FOR NO KEY UPDATE SKIP LOCKED))
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

-- PostgreSQL opens every new function to PUBLIC (SEC-02). docs/how-to/roles.md says what to grant
-- to whom.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA hark FROM PUBLIC;
