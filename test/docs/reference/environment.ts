import { describeEnvironment, readEnvironment, type VariableName } from "pg-hark";
import { allMembers, typeDeclarations } from "./declarations.ts";
import { code, page, table } from "./markdown.ts";

export function environmentPage(): string {
  const environment = readEnvironment({ DATABASE_URL: "postgres://user@host/name" });
  const defaults = new Map(
    describeEnvironment(environment).map((line) => {
      const [name = "", value = ""] = line.split(/ {2,}/);
      return [name, name === "DATABASE_URL" ? "required" : value] as const;
    }),
  );
  const docs = new Map(
    allMembers(typeDeclarations(), "Environment").flatMap(({ doc }) => {
      const [, name = "", meaning = ""] = /^([A-Z_]+): (.*)$/.exec(doc) ?? [];
      return name === "" ? [] : [[name, meaning] as const];
    }),
  );
  const rows = (Object.keys(environment.sources) as VariableName[]).map((name) => [
    code(name),
    docs.get(name) ?? "",
    defaults.get(name) ?? "",
  ]);
  return page(
    "Environment variables",
    "readEnvironment() and describeEnvironment()",
    "`readEnvironment()` reads and checks them together, and `describeEnvironment()` prints what counts, with secrets masked.\n" +
      "Nothing else in Hark's libraries reads the environment. The command `hark` reads `HARK_DATABASE_URL` before\n" +
      "`DATABASE_URL`, PostgreSQL's own `PGHOST` and its kin after it, and `HARK_LISTEN_URL` and `LOG_LEVEL` as below.",
    [table(["variable", "meaning", "if not set"], rows)],
  );
}
