import type pg from "pg";

/**
 * When a world begins, in epoch ms. Long past, so that no real session seems old, and far from
 * midnight (UTC).
 */
export const startOfTime = 1_700_000_000_000;

/**
 * Makes a migrated database the server of a simulated world. The functions of the schema `sim` come
 * before PostgreSQL's own in every search path. They tell the world's time, which each session is
 * given in the setting sim.now (epoch seconds), and pass notifications to the simulation. A trigger
 * on each table passes on every row that changes. Both use notices, and the session keeps those
 * until the transaction commits.
 */
const schema = `
  create schema sim;
  create function sim.now() returns timestamptz language sql stable as
    $$ select pg_catalog.to_timestamp(pg_catalog.current_setting('sim.now')::float8) $$;
  create function sim.clock_timestamp() returns timestamptz language sql stable return sim.now();
  create function sim.statement_timestamp() returns timestamptz language sql stable return sim.now();
  create function sim.transaction_timestamp() returns timestamptz language sql stable return sim.now();
  create function sim.pg_current_xact_id() returns xid8 language sql stable as
    $$ select (extract(epoch from sim.now()) * 1000)::bigint::text::xid8 $$;

  create function sim.pg_notify(channel text, payload text) returns void language plpgsql as
    $$ begin raise notice 'notify' using detail = json_build_array(channel, payload); end $$;

  create function sim.tell_row() returns trigger language plpgsql as $$
  begin
    raise notice 'row' using detail = json_build_object('table', tg_argv[0], 'was', to_jsonb(old), 'is', to_jsonb(new));
    return null;
  end $$;

  create function sim.refuse() returns trigger language plpgsql as
    $$ begin raise exception 'a trigger of the application refuses job %', new.id; end $$;
  create trigger refuse before insert on hark.finished_jobs
    for each row when (new.state = 'completed' and new.type like '%.unstorable') execute function sim.refuse();

  -- Leaves the tables as if they were new, so that a world does not depend on where the former one's rows lay.
  create function sim.clear() returns void language plpgsql as $$
  declare
    used text;
  begin
    select string_agg(oid::regclass::text, ', ') into used from pg_class
     where relnamespace = 'hark'::regnamespace and relkind = 'r' and relname <> 'migrations' and pg_relation_size(oid) > 0;
    if used is not null then execute 'truncate ' || used; end if;
    perform setval(oid, 1, false) from pg_class where relnamespace = 'hark'::regnamespace and relkind = 'S';
  end $$;

  do $$
  declare
    own record;
  begin
    for own in select relname as name from pg_class
                where relnamespace = 'hark'::regnamespace and relkind in ('r', 'p') and not relispartition
                  and exists (select from pg_attribute where attrelid = pg_class.oid and attname in ('id', 'job_id')) loop
      -- First of a row's triggers by its name: what the others change comes after it.
      execute format('create trigger "0 tell" after insert or update or delete on hark.%I
                        for each row execute function sim.tell_row(%L)', own.name, own.name);
    end loop;
  end $$`;

/**
 * Settings of each session: those of the product, and a limit for a statement that waits though the
 * world stands still.
 */
export const sessionOptions =
  "-c search_path=sim,pg_catalog,public -c jit=off -c plan_cache_mode=force_generic_plan " +
  "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c statement_timeout=10s -c synchronous_commit=off";

/** Call it once for a database. */
export async function installSimulatedSchema(client: pg.Client): Promise<void> {
  await client.query(schema);
  const { rows } = await client.query<{ name: string; definition: string }>(
    `select oid::regprocedure::text as name, pg_get_functiondef(oid) as definition
       from pg_proc where pronamespace = 'hark'::regnamespace`,
  );
  for (const { name, definition } of rows) {
    await client.query(inSimulatedTime(definition));
    await client.query(`alter function ${name} set search_path = sim, pg_catalog, hark, pg_temp`);
  }
  await client.query("select set_config('sim.now', $1, false)", [String(startOfTime / 1_000)]);
  await client.query("select hark.create_partitions(7)");
}

/**
 * Words of SQL that tell a time and are no functions, so that nothing can stand before them, with
 * functions that say the same.
 */
const timeWords = [
  [/\bcurrent_date\b/gi, "now()::date"],
  [/\bcurrent_timestamp\b/gi, "now()"],
] as const;
/** What would tell the real time. */
const realTime = /\b(current_time|localtime|localtimestamp|pg_catalog\s*\.)/i;

const inTime = new Map<string, string>();

/**
 * Returns a statement, or the definition of a function, that tells the time of the world. Throws if
 * it would tell another.
 */
export function inSimulatedTime(text: string): string {
  const known = inTime.get(text);
  if (known !== undefined) return known;
  if (realTime.test(text)) throw new Error(`tells a time that the simulation does not set: ${text}`);
  const changed = timeWords.reduce((former, [word, instead]) => former.replace(word, instead), text);
  inTime.set(text, changed);
  return changed;
}
