import type { CallExpression, Node } from "oxc-parser";
import { type Source, sources } from "./declarations.ts";
import { code, forReaders, page, table } from "./markdown.ts";

export interface Route {
  method: string;
  path: string;
  /** The scope that a token needs, or undefined for an open route. */
  scope: string | undefined;
  doc: string;
}

const methods = new Set(["get", "post", "put", "patch", "delete"]);

/** Routes that are registered by a call with a literal path, under the prefix of their module. */
export function routes(): Route[] {
  const files = sources("{server,job-manager}/src/**/*.ts");
  const prefixes = new Map(files.flatMap((source) => calls(source).flatMap(prefixOf)));
  return files.flatMap((source) => {
    const names = source.statements.flatMap((statement) =>
      statement.type === "ExportNamedDeclaration" && statement.declaration?.type === "FunctionDeclaration"
        ? [statement.declaration.id?.name ?? ""]
        : [],
    );
    const prefix = names.map((name) => prefixes.get(name)).find((found) => found !== undefined) ?? ownPrefix(source);
    return calls(source).flatMap((call) => routeOf(source, call, prefix));
  });
}

export function httpApiPage(): string {
  const rows = routes().map(({ method, path, scope, doc }) => [
    code(`${method} ${path}`),
    scope === undefined ? "none" : code(scope),
    forReaders(doc),
  ]);
  return page(
    "HTTP API",
    "the routes and the table of failures",
    'Send `Authorization: Bearer <token>`. A success is `{ "success": true, "data": ... }`. A failure is\n' +
      '`{ "success": false, "error": { "code", "message", "issues"?, "id"? } }`. An `id` leads to the server\'s log.',
    [
      "## Routes",
      table(["route", "scope", "what it does"], rows),
      "## Failures",
      table(["status", "code"], failureRows()),
      "A code that is not in the table is `INTERNAL`, with status 500.",
    ],
  );
}

/** Statuses with their codes, from the server's table. */
function failureRows(): string[][] {
  const byStatus = new Map<string, string[]>();
  for (const source of sources("server/src/failures.ts"))
    for (const [, name = "", status = ""] of source.text.matchAll(/^ {2}([A-Z_]+): (\d{3}),$/gm))
      byStatus.set(status, [...(byStatus.get(status) ?? []), code(name)]);
  return [...byStatus]
    .toSorted(([one], [other]) => Number(one) - Number(other))
    .map(([status, codes]) => [status, codes.join(", ")]);
}

/**
 * The prefix that routes of another package name themselves: `return { path: "/api/queue", add }`.
 */
const ownPrefix = ({ text }: Source): string => /return \{ path: "(\/[\w/-]+)", add \};/.exec(text)?.[1] ?? "";

/** The prefix of a module's routes, from `app.route("/api/queue", jobRoutes(...))`. */
function prefixOf({ callee, arguments: [path, router] }: CallExpression): [string, string][] {
  if (callee.type !== "MemberExpression" || callee.property.type !== "Identifier" || callee.property.name !== "route")
    return [];
  if (path?.type !== "Literal" || router?.type !== "CallExpression" || router.callee.type !== "Identifier") return [];
  return [[router.callee.name, String(path.value).replace(/\/$/, "")]];
}

function routeOf(source: Source, call: CallExpression, prefix: string): Route[] {
  const { callee } = call;
  if (callee.type !== "MemberExpression" || callee.property.type !== "Identifier") return [];
  const method = callee.property.name;
  const [path, ...handlers] = call.arguments;
  if (!methods.has(method) || path?.type !== "Literal" || !String(path.value).startsWith("/")) return [];
  const guard = handlers.find(
    (handler) =>
      handler.type === "CallExpression" && handler.callee.type === "Identifier" && handler.callee.name === "needs",
  );
  const scope = guard?.type === "CallExpression" ? guard.arguments[0] : undefined;
  return [
    {
      method: method.toUpperCase(),
      path: prefix + String(path.value),
      scope: scope?.type === "Literal" ? String(scope.value) : undefined,
      doc: source.docBefore(call.start),
    },
  ];
}

/** All calls in a file. */
function calls(source: Source): CallExpression[] {
  const found: CallExpression[] = [];
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) return node.forEach(visit);
    if (typeof node !== "object" || node === null) return;
    if ("type" in node && node.type === "CallExpression") found.push(node as CallExpression);
    Object.values(node as Node).forEach(visit);
  };
  visit(source.statements);
  return found.toSorted((one, other) => one.start - other.start);
}
