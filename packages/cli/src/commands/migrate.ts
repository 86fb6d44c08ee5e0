import { createRoles, migrate, readRolesScript, roleNames, schemaVersion } from "@hark/core";
import { readMigrations } from "@hark/core/internal";
import { command } from "../command.ts";
import { findConnection } from "../connection.ts";
import { writeDrizzleMigration } from "../drizzle-migration.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { migrationScript } from "../migration-script.ts";
import type { Output } from "../output.ts";
import { UsageError } from "../usage-error.ts";

export const migrateCommand = command({
  examples: ["hark migrate", "hark migrate --sql --from 1 > upgrade.sql"],
  usage: "",
  about: `Brings the database's "hark" schema to this version, in one transaction. Any number of processes may run it at once.
--check changes nothing. It exits with 1 if migrations are pending, and with 4 if the schema was changed or needs newer code.
--sql needs no database. It prints the migrations as one script, for psql -1.
--drizzle needs no database either. It writes what is missing in the folder as a custom migration of your drizzle-kit.
--roles also makes the roles ${roleNames.join(", ")}, and grants each only what it needs. Run it
again after every migration. With --sql it prints that script instead, for a login that may create roles.`,
  words: { least: 0, most: 0 },
  flags: {
    check: { type: "boolean", help: "only check whether migrations are pending" },
    roles: { type: "boolean", help: "also make the roles for producers, workers, readers and admins" },
    sql: { type: "boolean", help: "print the SQL instead of running it" },
    drizzle: { type: "string", value: "<folder>", help: "write a migration into drizzle-kit's folder" },
    from: { type: "string", value: "<version>", help: "with --sql: the version that the database has; default 0" },
  },
  async run({ values, output }) {
    const ways = [values.check && "--check", values.sql && "--sql", values.drizzle !== undefined && "--drizzle"];
    const [one, other] = ways.filter((way) => way);
    if (other) throw new UsageError(`Give either ${one} or ${other}, not both.`);
    if (values.from !== undefined && !values.sql) throw new UsageError("--from needs --sql.");
    if (values.roles && (values.check || values.drizzle !== undefined || values.from !== undefined))
      throw new UsageError("Use --roles alone or with --sql.");
    if (values.drizzle !== undefined) return writeDrizzle(values.drizzle, output);
    if (values.sql) return values.roles ? printRoles(output) : printScript(values.from ?? "0", output);

    const { url } = await findConnection(values);
    return values.check ? check(url, output) : apply(url, { withRoles: values.roles === true, output });
  },
});

async function apply(url: string, { withRoles, output }: { withRoles: boolean; output: Output }): Promise<ExitCode> {
  const applied = await migrate({ connectionString: url });
  if (withRoles) await createRoles({ connectionString: url });
  const { found: version, wanted } = await schemaVersion(url);
  for (const name of applied) output.line(`applied ${name}`);
  if (applied.length === 0) output.line(`nothing to apply: ${stateOf(version, wanted)}`);
  if (withRoles) output.line(`granted ${roleNames.join(", ")}`);
  output.document({ version, applied, ...(withRoles && { roles: roleNames }) });
  return exitCodes.ok;
}

async function check(url: string, output: Output): Promise<ExitCode> {
  const { found, wanted, pending } = await schemaVersion(url);
  for (const name of pending) output.line(`pending ${name}`);
  if (pending.length === 0) output.line(`up to date: ${stateOf(found, wanted)}`);
  else output.note(`The schema is at version ${found ?? 0} of ${wanted}. Run "hark migrate".`);
  output.document({ version: found ?? 0, wanted, pending });
  return pending.length === 0 ? exitCodes.ok : exitCodes.finding;
}

/** Describes the version of an up-to-date schema, and whether it is newer than this code. */
function stateOf(found: number | null, wanted: number): string {
  const newer = found !== null && found > wanted ? `, which also supports this code (version ${wanted})` : "";
  return `the schema is at version ${found}${newer}`;
}

async function printScript(from: string, output: Output): Promise<ExitCode> {
  const migrations = await readMigrations();
  if (!/^\d{1,6}$/.test(from) || Number(from) > migrations.length) {
    throw new UsageError(`--from must be a version from 0 to ${migrations.length}, not "${from}".`);
  }
  const script = migrationScript(migrations, Number(from));
  if (output.isJson) output.document({ from: Number(from), to: migrations.length, sql: script });
  else process.stdout.write(script);
  return exitCodes.ok;
}

async function writeDrizzle(folder: string, output: Output): Promise<ExitCode> {
  const written = await writeDrizzleMigration(folder, await readMigrations());
  const { file, from, to } = written;
  if (file === undefined) output.line(`nothing to write: ${folder} has Hark's schema at version ${from}`);
  else output.line(`wrote ${file}, from version ${from} to ${to}: apply it with "drizzle-kit migrate"`);
  output.document({ ...written, file: file ?? null });
  return exitCodes.ok;
}

async function printRoles(output: Output): Promise<ExitCode> {
  const script = await readRolesScript();
  if (output.isJson) output.document({ roles: roleNames, sql: script });
  else process.stdout.write(script);
  return exitCodes.ok;
}
