import type { Queryable } from "../queryable.ts";

export interface TableWithoutIdentity {
  readonly table: string;
  /** The publications that make PostgreSQL refuse its updates and deletes. */
  readonly publications: readonly string[];
}

/**
 * Returns the tables of Hark, partitions included, whose updates and deletes PostgreSQL refuses
 * with 55000: a publication covers them, and they have no replica identity (FM-84).
 */
export async function listTablesWithoutIdentity(db: Queryable): Promise<TableWithoutIdentity[]> {
  const { rows } = await db.query({
    text: `select c.relname as table, json_agg(p.pubname order by p.pubname)::text as publications
             from pg_class c join pg_publication p on (p.pubupdate or p.pubdelete) and c.oid in (
                    select relid from pg_get_publication_tables(p.pubname)
                    union select inhrelid from pg_inherits join pg_get_publication_tables(p.pubname) on relid = inhparent)
            where c.relnamespace = to_regnamespace('hark') and c.relkind = 'r'
              and case c.relreplident
                    when 'f' then false
                    when 'd' then not exists (select from pg_index where indrelid = c.oid and indisprimary)
                    when 'i' then not exists (select from pg_index where indrelid = c.oid and indisreplident)
                    else true end
            group by c.relname order by c.relname`,
    values: [],
  });
  return rows.map(({ table, publications }) => ({
    table: String(table),
    publications: JSON.parse(String(publications)) as string[],
  }));
}
