import { describeEnvironment, readEnvironment, type VariableName } from "pg-hark";
import { publicNames, Types } from "./declarations.ts";
import { code, page, table } from "./markdown.ts";

export function environmentPage(): string {
  const environment = readEnvironment({ DATABASE_URL: "postgres://user@host/name" });
  const defaults = new Map(
    describeEnvironment(environment).map((line) => {
      const [name = "", value = ""] = line.split(/ {2,}/);
      return [name, name === "DATABASE_URL" ? "required" : value] as const;
    }),
  );
  const types = new Types();
  const { near } = publicNames().find(({ name }) => name === "Environment")!;
  const docs = new Map(
    types.allMembers(types.find("Environment", near)!).flatMap(({ doc }) => {
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
    "`readEnvironment()` reads and checks them together, and `describeEnvironment()` prints the values in use, with secrets masked.\n" +
      "`JobManager` and `PostgresQueue` read those of their options that are not given. Nothing else in Hark's libraries reads the\n" +
      "environment, but for `LOG_LEVEL`. The command `hark` reads `HARK_DATABASE_URL` before\n" +
      "`DATABASE_URL`, PostgreSQL's own variables such as `PGHOST` after it, and `HARK_LISTEN_URL` and `LOG_LEVEL` as below.",
    [table(["variable", "meaning", "if not set"], rows)],
  );
}
