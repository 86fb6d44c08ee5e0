import { readdirSync, readFileSync } from "node:fs";
import { root } from "../blocks.ts";
import { onOneLine } from "./declarations.ts";
import { code, forReaders, page, table } from "./markdown.ts";

export interface SqlFunction {
  name: string;
  signature: string;
  doc: string;
  isTrigger: boolean;
}

const definition =
  /((?:^--(?!>)[^\n]*\n)*)(?:^CREATE SEQUENCE[^\n]*\n)?^CREATE (?:OR REPLACE )?FUNCTION hark\.(\w+)\s*\(([^]*?)\)\s*(RETURNS (?:TABLE \([^)]*\)|SETOF \S+|\w+))?\s*\n?LANGUAGE/gm;

/** Functions of the schema `hark`, each as the last migration defines it. */
export function sqlFunctions(): SqlFunction[] {
  const found = new Map<string, SqlFunction>();
  for (const text of scripts()) {
    for (const [, comment = "", name = "", parameters = "", returns = ""] of text.matchAll(definition))
      found.set(name, {
        name,
        signature: onOneLine(`hark.${name}(${parameters}) ${returns}`),
        doc: onOneLine(comment.replaceAll(/^-- ?/gm, "")) || (found.get(name)?.doc ?? ""),
        isTrigger: returns === "RETURNS trigger",
      });
  }
  return [...found.values()];
}

/**
 * The text of one function of a script, with the comment above it and its triggers, or "" if it is
 * not there.
 */
export function sqlFunctionText(script: string, name: string): string {
  const whole = new RegExp(
    String.raw`((?:^--(?!>)[^\n]*\n)*)^CREATE (?:OR REPLACE )?FUNCTION hark\.${name}\b[^]*?^(?:END )?\$\$;`,
    "m",
  );
  const triggers = new RegExp(String.raw`^CREATE TRIGGER [^;]*?EXECUTE FUNCTION hark\.${name}\(\);`, "gm");
  const text = whole.exec(script)?.[0];
  return text === undefined ? "" : [text, ...(script.match(triggers) ?? [])].join("\n");
}

/** The roles that may call a function, by roles.sql. The owner of the schema may call all. */
export function callersOf(name: string): string[] {
  const script = readFileSync(`${root}drizzle/roles.sql`, "utf8").replaceAll(/--[^\n]*/g, "");
  const grants = [...script.matchAll(/GRANT EXECUTE ON FUNCTION ([^;]*?) TO ([^;]*);/gi)];
  const may = grants.filter(([, functions = ""]) => new RegExp(String.raw`\bhark\.${name}\b`).test(functions));
  return [...new Set(may.flatMap(([, , roles = ""]) => roles.split(",").map((role) => role.trim())))];
}

export function sqlFunctionsPage(): string {
  const all = sqlFunctions().filter(({ isTrigger }) => !isTrigger);
  const isPublic = ({ name }: SqlFunction) => callersOf(name).includes("hark_producer");
  const section = ({ name, signature, doc }: SqlFunction) =>
    [`### hark.${name}`, code(signature), forReaders(doc), `Roles: ${callersOf(name).map(code).join(", ")}.`].join(
      "\n\n",
    );
  const rows = all
    .filter((each) => !isPublic(each))
    .map(({ name, signature, doc }) => [code(signature), forReaders(doc), callersOf(name).map(code).join(", ")]);
  return page(
    "SQL functions",
    "the comments of drizzle/*.sql",
    "The SQL functions of the schema `hark`, for psql, triggers and programs in other languages. `PUBLIC` may call none of\n" +
      "them. The owner may call all, and the roles of `hark migrate --roles` those that list them here.",
    [
      "## For producers",
      ...all.filter(isPublic).map(section),
      "## For Hark's own processes",
      "Their signatures may change in any release.",
      table(["function", "what it does", "roles"], rows),
    ],
  );
}

function scripts(): string[] {
  const migrations = readdirSync(`${root}drizzle`).filter((file) => /^\d+_.*\.sql$/.test(file));
  return [...migrations.toSorted(), "roles.sql"].map((file) => readFileSync(`${root}drizzle/${file}`, "utf8"));
}
