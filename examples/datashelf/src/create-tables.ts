import type { ClientBase } from "pg";

/**
 * Only one process creates tables at a time: two workers of a demo start at once, and `create ...
 * if not exists` alone can fail in a race. The number is the ASCII of "shelf", so that no other
 * program uses it by chance.
 */
const lockKey = 0x7368656c66;

const statements = `
  create schema if not exists datashelf;

  create table if not exists datashelf.crawls (
    id bigint primary key generated always as identity,
    started_at timestamptz not null default now(),
    mode text not null check (mode in ('shop', 'site')),
    start_url text not null,
    page_limit integer check (page_limit > 0));

  create table if not exists datashelf.discovered (
    crawl_id bigint not null references datashelf.crawls on delete cascade,
    url text not null,
    kind text not null check (kind in ('navigation', 'category', 'product', 'page')),
    found_on text,
    found_at timestamptz not null default now(),
    primary key (crawl_id, url));

  create table if not exists datashelf.pages (
    crawl_id bigint not null references datashelf.crawls on delete cascade,
    url text not null,
    kind text not null check (kind in ('navigation', 'category', 'product', 'page')),
    status integer not null,
    title text,
    text_length integer,
    links integer not null default 0,
    turn_wait_ms real not null default 0,
    fetched_at timestamptz not null default now(),
    fetch_count integer not null default 1,
    job_id bigint not null,
    primary key (crawl_id, url));

  create table if not exists datashelf.books (
    crawl_id bigint not null references datashelf.crawls on delete cascade,
    url text not null,
    isbn text,
    title text not null,
    author text,
    price_minor bigint not null check (price_minor >= 0),
    currency text not null,
    rating real check (rating between 0 and 5),
    is_in_stock boolean not null,
    description text not null,
    updated_at timestamptz not null default now(),
    primary key (crawl_id, url));

  create table if not exists datashelf.hosts (
    host text primary key,
    next_at timestamptz not null);

  create index if not exists books_isbn on datashelf.books (isbn);
`;

/**
 * Creates the missing parts of the schema `datashelf` in a transaction of its own: all or nothing.
 * Any number of processes may call it at once. The columns are those of `schema.ts`. Takes a single
 * client, not a pool, which may send each statement over another connection.
 */
export async function createTables(client: ClientBase): Promise<void> {
  await client.query("begin");
  try {
    await client.query(`select pg_advisory_xact_lock(${lockKey})`);
    await client.query(statements);
    await client.query("commit");
  } catch (error) {
    await client.query("rollback").catch(() => undefined); // the first error says more than that of a broken connection
    throw error;
  }
}
