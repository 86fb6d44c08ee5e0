import type { Argument, Expression } from "oxc-parser";
import { type ClassDeclaration, classDeclarations, publicNames } from "./declarations.ts";
import { code, forReaders, page, table } from "./markdown.ts";

/**
 * An error class: its code, and its message from the source, with `<name>` for each inserted value.
 */
export interface ErrorClass extends Pick<ClassDeclaration, "name" | "file" | "doc"> {
  code: string;
  messages: string[];
}

/** Public classes that extend HarkError. */
export function errorClasses(): ErrorClass[] {
  const names = new Set(publicNames().map(({ name }) => name));
  return classDeclarations()
    .filter(({ name, superClass }) => superClass === "HarkError" && names.has(name))
    .map((declared) => {
      const [first, , third] = superArguments(declared);
      return {
        ...declared,
        code: first ? (textsOf(first, declared.source)[0] ?? "") : "",
        messages: third ? textsOf(third, declared.source) : [],
      };
    });
}

export function errorsPage(): string {
  const rows = errorClasses().map(({ name, code: stable, doc, messages }) => [
    code(name),
    code(stable),
    forReaders(doc),
    messages.every((message) => /^<[^>]*>$/.test(message))
      ? "as given"
      : messages.map((message) => `"${message}"`).join(" or "),
  ]);
  return page(
    "Errors",
    "the classes that extend HarkError",
    "Every error of Hark extends `HarkError`. It has a stable `code`, the facts as `facts`, and a message that says what\n" +
      "happened, what follows and what to do. Compare codes, not messages: messages may change in any release.",
    [table(["class", "code", "when", "message"], rows)],
  );
}

/** The arguments that the constructor passes to super(). */
function superArguments({ node }: ClassDeclaration): Argument[] {
  for (const element of node.body.body) {
    if (element.type !== "MethodDefinition" || element.kind !== "constructor") continue;
    for (const statement of element.value.body?.body ?? [])
      if (
        statement.type === "ExpressionStatement" &&
        statement.expression.type === "CallExpression" &&
        statement.expression.callee.type === "Super"
      )
        return statement.expression.arguments;
  }
  return [];
}

/** The texts that an expression may yield: several if it has a condition. */
function textsOf(expression: Expression | Argument, source: string): string[] {
  switch (expression.type) {
    case "Literal":
      return [String(expression.value)];
    case "TemplateLiteral":
      return [
        expression.quasis
          .map(({ value }, place) => `${value.cooked ?? ""}${nameOf(expression.expressions[place], source)}`)
          .join(""),
      ];
    case "BinaryExpression": {
      const [left, right] = [expression.left as Expression, expression.right];
      return textsOf(left, source).flatMap((start) => textsOf(right, source).map((end) => start + end));
    }
    case "ConditionalExpression":
      return [...textsOf(expression.consequent, source), ...textsOf(expression.alternate, source)];
    default:
      return [nameOf(expression, source)];
  }
}

/** `<path>`: the last name of an inserted value. */
function nameOf(expression: Expression | Argument | undefined, source: string): string {
  if (!expression) return "";
  if (expression.type === "ConditionalExpression" || expression.type === "LogicalExpression") return "<...>";
  if (expression.type === "CallExpression") {
    const [first] = expression.arguments;
    return first?.type === "Identifier" ? nameOf(first, source) : "<...>";
  }
  const name = /(\w+)$/.exec(source.slice(expression.start, expression.end))?.[1];
  return name === undefined ? "<...>" : `<${name}>`;
}
