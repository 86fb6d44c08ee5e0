import { globSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { type Class, type Comment, parseSync, type Statement, type TSSignature, type TSType } from "oxc-parser";
import { root } from "../blocks.ts";

/** A property or method of an interface or an object type. */
export interface Member {
  name: string;
  /** Its type as the source writes it, on one line. */
  type: string;
  isOptional: boolean;
  doc: string;
}

/** An interface or type alias of a package. */
export interface TypeDeclaration {
  name: string;
  /** From the root of the repository. */
  file: string;
  doc: string;
  /** Its own members, including those of every branch of a union. */
  members: Member[];
  /** The types that it extends or consists of. */
  parts: TypePart[];
}

interface TypePart {
  name: string;
  /** The file or package that it is imported from, or undefined for its own file. */
  near: string | undefined;
  /** Members that `Omit` leaves out. */
  omitted?: readonly string[];
}

export interface ClassDeclaration {
  name: string;
  file: string;
  doc: string;
  superClass: string | undefined;
  node: Class;
  source: string;
}

export interface Source {
  file: string;
  text: string;
  statements: readonly Statement[];
  /**
   * Returns the docstring or the line comments right before a position, on one line, or "" if there
   * are none.
   */
  docBefore(start: number): string;
}

/** Sources of the packages without their tests, parsed. `pattern` is a glob under `packages/`. */
export function sources(pattern = "*/src/**/*.ts"): Source[] {
  return globSync(`packages/${pattern}`, { cwd: root })
    .filter((file) => !file.endsWith(".test.ts"))
    .toSorted()
    .map(parse);
}

function parse(file: string): Source {
  const text = readFileSync(root + file, "utf8");
  const { program, comments, errors } = parseSync(file, text);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]!.message}`);
  return { file, text, statements: program.body, docBefore: (start) => docBefore(text, comments, start) };
}

/** Interfaces and type aliases of all packages. */
export class Types {
  readonly #byName = new Map<string, TypeDeclaration[]>();

  constructor() {
    for (const source of sources()) {
      for (const declared of typesOf(source))
        this.#byName.set(declared.name, [...(this.#byName.get(declared.name) ?? []), declared]);
    }
  }

  /**
   * Finds a type by its name. Of two with the same name, returns the one nearest to `near`, a file
   * or folder.
   */
  find(name: string, near: string): TypeDeclaration | undefined {
    const found = this.#byName.get(name) ?? [];
    const wanted = near.split("/").filter(Boolean);
    const shared = ({ file }: TypeDeclaration) => {
      const parted = file.split("/").findIndex((folder, depth) => folder !== wanted[depth]);
      return parted === -1 ? wanted.length : parted;
    };
    return found.toSorted((one, other) => shared(other) - shared(one))[0];
  }

  /** Members of a type and of all types that it consists of, each name once. */
  allMembers({ file, parts, members }: TypeDeclaration): Member[] {
    const inherited = parts.flatMap(({ name, near, omitted = [] }) => {
      const part = this.find(name, near ?? file);
      return part ? this.allMembers(part).filter((member) => !omitted.includes(member.name)) : [];
    });
    const byName = new Map<string, Member>();
    for (const member of [...inherited, ...members]) {
      const before = byName.get(member.name);
      const isOptional = member.isOptional || before?.isOptional === true;
      byName.set(member.name, { ...member, doc: member.doc || before?.doc || "", isOptional });
    }
    return [...byName.values()];
  }
}

function typesOf(source: Source): TypeDeclaration[] {
  const imported = importsOf(source);
  const partOf = (part: ShapePart): TypePart => ({ near: undefined, ...part, ...imported.get(part.name) });
  return source.statements.flatMap((statement) => {
    const declared = statement.type === "ExportNamedDeclaration" ? statement.declaration : statement;
    const base = { file: source.file, doc: source.docBefore(statement.start) };
    if (declared?.type === "TSInterfaceDeclaration") {
      const members = declared.body.body.flatMap((signature) => memberOf(source, signature));
      const parts = declared.extends.map(({ expression }) =>
        partOf({ name: source.text.slice(expression.start, expression.end) }),
      );
      return [{ ...base, name: declared.id.name, members, parts }];
    }
    if (declared?.type !== "TSTypeAliasDeclaration") return [];
    const { members, parts } = shapeOf(source, declared.typeAnnotation);
    return [{ ...base, name: declared.id.name, members, parts: parts.map(partOf) }];
  });
}

/** The imports of a file, by their local name. */
function importsOf({ file, statements }: Source): Map<string, TypePart> {
  const found = new Map<string, TypePart>();
  for (const statement of statements) {
    if (statement.type !== "ImportDeclaration") continue;
    const from = statement.source.value;
    const near = from.startsWith(".") ? posix.join(posix.dirname(file), from) : folderOf(from);
    for (const specifier of statement.specifiers)
      if (specifier.type === "ImportSpecifier" && specifier.imported.type === "Identifier")
        found.set(specifier.local.name, { name: specifier.imported.name, near });
  }
  return found;
}

/** `packages/server/` of `@hark/server/routes`. */
const folderOf = (specifier: string): string =>
  `packages/${specifier.startsWith("@hark/") ? specifier.split("/")[1] : specifier}/`;

/** Exported classes, in the order of their files. */
export function classDeclarations(): ClassDeclaration[] {
  return sources().flatMap((source) =>
    source.statements.flatMap((statement) => {
      const declared = statement.type === "ExportNamedDeclaration" ? statement.declaration : undefined;
      if (declared?.type !== "ClassDeclaration" || !declared.id) return [];
      const { superClass } = declared;
      return [
        {
          name: declared.id.name,
          file: source.file,
          doc: source.docBefore(statement.start),
          superClass: superClass?.type === "Identifier" ? superClass.name : undefined,
          node: declared,
          source: source.text,
        },
      ];
    }),
  );
}

/** What the package pg-hark exports, each with the folder of the package that it comes from. */
export function publicNames(): { name: string; near: string }[] {
  return sources("{hark,pg-hark}/src/index.ts")
    .flatMap(({ file, statements }) =>
      statements.flatMap((statement) => {
        if (statement.type !== "ExportNamedDeclaration") return [];
        const from = statement.source?.value ?? "";
        const near = from.startsWith("@hark/") ? folderOf(from) : posix.dirname(file);
        return statement.specifiers.map(({ exported }) => ({
          name: exported.type === "Literal" ? exported.value : exported.name,
          near,
        }));
      }),
    )
    .toSorted((one, other) => one.name.localeCompare(other.name, "en"));
}

type ShapePart = Pick<TypePart, "name" | "omitted">;

interface Shape {
  members: Member[];
  parts: ShapePart[];
}

function shapeOf(source: Source, node: TSType): Shape {
  switch (node.type) {
    case "TSTypeLiteral":
      return { members: node.members.flatMap((signature) => memberOf(source, signature)), parts: [] };
    case "TSIntersectionType":
      return joined(node.types.map((part) => shapeOf(source, part)));
    case "TSUnionType": {
      const branches = node.types.map((part) => shapeOf(source, part));
      const { members, parts } = joined(branches);
      // A member of only some branches is optional in the whole.
      const isEverywhere = (name: string) =>
        branches.every((branch) => branch.members.some((own) => own.name === name));
      return {
        members: members.map((member) => ({ ...member, isOptional: member.isOptional || !isEverywhere(member.name) })),
        parts,
      };
    }
    case "TSConditionalType":
      return joined([shapeOf(source, node.trueType), shapeOf(source, node.falseType)]);
    case "TSParenthesizedType":
      return shapeOf(source, node.typeAnnotation);
    case "TSTypeReference": {
      const name = source.text.slice(node.typeName.start, node.typeName.end);
      const [from, left] = node.typeArguments?.params ?? [];
      if (name !== "Omit" || !from || !left) return { members: [], parts: [{ name }] };
      const omitted = source.text.slice(left.start, left.end).match(/\w+/g) ?? [];
      const { members, parts } = shapeOf(source, from);
      return { members, parts: parts.map((part) => ({ ...part, omitted })) };
    }
    default:
      return { members: [], parts: [] };
  }
}

function joined(shapes: Shape[]): Shape {
  return { members: shapes.flatMap(({ members }) => members), parts: shapes.flatMap(({ parts }) => parts) };
}

function memberOf(source: Source, signature: TSSignature): Member[] {
  if (signature.type !== "TSPropertySignature" && signature.type !== "TSMethodSignature") return [];
  const { key } = signature;
  if (key.type !== "Identifier" && key.type !== "Literal") return [];
  const name = key.type === "Identifier" ? key.name : String(key.value);
  const doc = source.docBefore(signature.start);
  const whole = source.text.slice(signature.start, signature.end).replace(/[;,]$/, "");
  const type =
    signature.type === "TSMethodSignature"
      ? whole.slice(key.end - signature.start)
      : source.text.slice(signature.typeAnnotation?.typeAnnotation.start, signature.typeAnnotation?.typeAnnotation.end);
  return [{ name, type: onOneLine(type), isOptional: signature.optional, doc }];
}

function docBefore(text: string, comments: readonly Comment[], start: number): string {
  const lines: string[] = [];
  let next = start;
  for (const comment of comments.toReversed()) {
    if (comment.end > next) continue;
    if (text.slice(comment.end, next).trim() !== "") break;
    const isDocstring = comment.type === "Block";
    if (isDocstring && !comment.value.startsWith("*")) break;
    // A comment behind code on its own line is about that code.
    if (text.slice(text.lastIndexOf("\n", comment.start) + 1, comment.start).trim() !== "") break;
    lines.unshift(isDocstring ? comment.value.slice(1).replaceAll(/^\s*\* ?/gm, "") : comment.value);
    next = comment.start;
    if (isDocstring) break;
  }
  return onOneLine(lines.join("\n"));
}

/** Returns a text without line breaks, and with names instead of links. */
export function onOneLine(text: string): string {
  return text
    .replaceAll(/\{@link (\w+)[^}]*\}/g, "`$1`")
    .replaceAll(/\s+/g, " ")
    .trim();
}
