import { commandsPage } from "./commands.ts";
import { decisionsPage } from "./decisions.ts";
import { environmentPage } from "./environment.ts";
import { errorsPage } from "./errors.ts";
import { eventsPage } from "./events.ts";
import { httpApiPage } from "./http-api.ts";
import { optionsPage } from "./options.ts";
import { sqlFunctionsPage } from "./sql-functions.ts";
import { tablesPage } from "./tables.ts";

/** The generated pages, by their file in docs/. */
export const pages: Readonly<Record<string, () => string | Promise<string>>> = {
  "reference/options.md": optionsPage,
  "reference/errors.md": errorsPage,
  "reference/events.md": eventsPage,
  "reference/commands.md": commandsPage,
  "reference/environment.md": environmentPage,
  "reference/http-api.md": httpApiPage,
  "reference/sql-functions.md": sqlFunctionsPage,
  "reference/tables.md": tablesPage,
  "decisions/README.md": decisionsPage,
};
