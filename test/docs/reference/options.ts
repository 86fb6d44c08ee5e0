import { publicNames, type TypeDeclaration, Types } from "./declarations.ts";
import { code, forReaders, page, table } from "./markdown.ts";

/** Types of the page whose names do not end in "Options". */
const others = ["AccessToken", "RateLimit", "JobContext", "Duration"];

/** The option types that applications can import. */
export function optionTypes(types: Types): TypeDeclaration[] {
  return publicNames()
    .filter(({ name }) => name.endsWith("Options") || others.includes(name))
    .flatMap(({ name, near }) => types.find(name, near) ?? []);
}

export function optionsPage(): string {
  const types = new Types();
  return page(
    "Options",
    "the docstrings of the types",
    "Every option of the public functions, by the name of its type. A duration is text such as `30s`, `5m` or `250ms`, or a\n" +
      "number of milliseconds. All wrong options of a call are reported together, in one `InvalidOptionsError`.",
    optionTypes(types).map((declared) => sectionOf(types, declared)),
  );
}

function sectionOf(types: Types, declared: TypeDeclaration): string {
  const { name, file, doc } = declared;
  const rows = types
    .allMembers(declared)
    .map(({ name: option, type, isOptional, doc: meaning }) => [
      code(`${option}${isOptional ? "?" : ""}`),
      code(isOptional ? type.replace(/ \| undefined$/, "") : type),
      forReaders(meaning),
    ]);
  const body = rows.length > 0 ? [table(["option", "type", "meaning"], rows)] : [];
  return [`## ${name}`, ...(doc ? [forReaders(doc)] : []), ...body, `Source: ${code(file)}.`].join("\n\n");
}
