import { allMembers, publicNames, type TypeDeclaration, typeDeclarations } from "./declarations.ts";
import { code, forReaders, page, table } from "./markdown.ts";

/** Types that belong to the page though their names do not end in "Options". */
const others = ["AccessToken", "RateLimit", "JobContext", "Duration"];

/** Names of the option types that applications can import. */
export function optionTypes(): string[] {
  return publicNames().filter((name) => name.endsWith("Options") || others.includes(name));
}

export function optionsPage(): string {
  const types = typeDeclarations();
  return page(
    "Options",
    "the docstrings of the types",
    "Every option of the public functions, by the name of its type. A duration is text such as `30s`, `5m` or `250ms`, or a\n" +
      "number of milliseconds. All wrong options of a call are reported together, in one `InvalidOptionsError`.",
    optionTypes().flatMap((name) => {
      const declared = types.get(name);
      return declared ? [sectionOf(types, declared)] : [];
    }),
  );
}

function sectionOf(types: Map<string, TypeDeclaration>, { name, file, doc }: TypeDeclaration): string {
  const rows = allMembers(types, name).map(({ name: option, type, isOptional, doc: meaning }) => [
    code(`${option}${isOptional ? "?" : ""}`),
    code(isOptional ? type.replace(/ \| undefined$/, "") : type),
    forReaders(meaning),
  ]);
  const body = rows.length > 0 ? [table(["option", "type", "meaning"], rows)] : [];
  return [`## ${name}`, ...(doc ? [forReaders(doc)] : []), ...body, `Source: ${code(file)}.`].join("\n\n");
}
