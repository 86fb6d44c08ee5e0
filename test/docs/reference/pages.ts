import { commandsPage } from "./commands.ts";
import { environmentPage } from "./environment.ts";
import { errorsPage } from "./errors.ts";
import { eventsPage } from "./events.ts";
import { httpApiPage } from "./http-api.ts";
import { optionsPage } from "./options.ts";
import { sqlFunctionsPage } from "./sql-functions.ts";
import { tablesPage } from "./tables.ts";

/** The pages of docs/reference that are generated, by their file. */
export const pages: Readonly<Record<string, () => string | Promise<string>>> = {
  "options.md": optionsPage,
  "errors.md": errorsPage,
  "events.md": eventsPage,
  "commands.md": commandsPage,
  "environment.md": environmentPage,
  "http-api.md": httpApiPage,
  "sql-functions.md": sqlFunctionsPage,
  "tables.md": tablesPage,
};
