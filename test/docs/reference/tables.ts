import { is, SQL } from "drizzle-orm";
import { getTableConfig, PgDialect, PgTable } from "drizzle-orm/pg-core";
import * as schema from "../../../packages/core/dist/schema/index.js";
import { type Source, sources } from "./declarations.ts";
import { code, forReaders, page, table } from "./markdown.ts";

const dialect = new PgDialect();

export function tablesPage(): string {
  const docs = docsByProperty(sources("core/src/schema/*.ts"));
  const exported = Object.entries(schema) as [string, unknown][];
  const sections = namesInOrder().flatMap((name) => {
    const value = exported.find(([other]) => other === name)?.[1];
    return is(value, PgTable) ? [sectionOf(value, docs.get(name) ?? "", docs)] : [];
  });
  return page(
    "Tables",
    "core's Drizzle schema",
    "Hark's tables are in the PostgreSQL schema `hark`. A job is in exactly one of `jobs`, `running_jobs`,\n" +
      "`finished_jobs` and `dead_jobs`. You may read them freely. Write through the functions and commands only.",
    sections,
  );
}

function sectionOf(value: PgTable, doc: string, docs: ReadonlyMap<string, string>): string {
  const { name, columns, indexes, checks } = getTableConfig(value);
  const properties = new Map(Object.entries(value).map(([property, column]) => [column, property]));
  const rows = columns.map((column) => [
    code(column.name),
    code(column.getSQLType() + (column.notNull ? "" : ", may be null")),
    [
      docs.get(`${name}.${properties.get(column)}`) ?? docs.get(`jobColumns.${properties.get(column)}`) ?? "",
      column.enumValues ? `One of ${column.enumValues.map(code).join(", ")}.` : "",
    ]
      .filter(Boolean)
      .join(" "),
  ]);
  const lists = [
    ...indexes.map(({ config }) => {
      const on = config.columns.map((column) =>
        is(column, SQL) ? textOf(column) : `${"name" in column ? column.name : ""}`,
      );
      const where = config.where ? ` where ${textOf(config.where)}` : "";
      return `- index ${code(config.name ?? "")}: ${config.unique ? "unique " : ""}${code(`(${on.join(", ")})${where}`)}`;
    }),
    ...checks.map((check) => `- check ${code(check.name)}: ${code(textOf(check.value))}`),
  ];
  const parts = [`## ${name}`, forReaders(doc), table(["column", "type", "meaning"], rows)];
  return [...parts, ...(lists.length > 0 ? [lists.join("\n")] : [])].join("\n\n");
}

const textOf = (sql: SQL): string => dialect.sqlToQuery(sql).sql.replaceAll(/"hark"\."\w+"\.|"/g, "");

/**
 * The names that schema/index.ts exports, in the order in which a job passes through the tables.
 */
function namesInOrder(): string[] {
  return sources("core/src/schema/index.ts").flatMap(({ statements }) =>
    statements.flatMap((statement) =>
      statement.type === "ExportNamedDeclaration"
        ? statement.specifiers.flatMap(({ exported }) => (exported.type === "Identifier" ? [exported.name] : []))
        : [],
    ),
  );
}

/** Docstrings of tables by their exported name, and of columns by `table.property`. */
function docsByProperty(files: readonly Source[]): Map<string, string> {
  const docs = new Map<string, string>();
  for (const source of files) {
    for (const statement of source.statements) {
      if (statement.type !== "ExportNamedDeclaration" || statement.declaration?.type !== "VariableDeclaration")
        continue;
      for (const { id, init } of statement.declaration.declarations) {
        if (id.type !== "Identifier") continue;
        docs.set(id.name, source.docBefore(statement.start));
        const isCall = init?.type === "CallExpression";
        const first = isCall ? init.arguments[0] : undefined;
        const owner = first?.type === "Literal" ? String(first.value) : id.name;
        const columns = isCall ? init.arguments[1] : init?.type === "ArrowFunctionExpression" ? init.body : undefined;
        const object = columns?.type === "ParenthesizedExpression" ? columns.expression : columns;
        if (object?.type !== "ObjectExpression") continue;
        for (const property of object.properties)
          if (property.type === "Property" && property.key.type === "Identifier")
            docs.set(`${owner}.${property.key.name}`, source.docBefore(property.start));
      }
    }
  }
  return docs;
}
