import { sources, Types } from "./declarations.ts";
import { code, forReaders, page, table } from "./markdown.ts";

export function eventsPage(): string {
  const types = new Types();
  const events = types
    .allMembers(types.find("WorkerEventMap", "packages/worker/")!)
    .map(({ name, type, doc }) => [code(name), code(type.replaceAll("statements.", "")), forReaders(doc)]);
  return page(
    "Events",
    "WorkerEventMap, and the channels of notifications.ts",
    'A worker emits events for its own jobs: `worker.events.on("settled", (job, outcome, durationMs) => ...)`. Listeners run\n' +
      "in the worker's own flow, so keep them short. An error in one is logged and affects no job.",
    [
      "## Events of a worker",
      table(["event", "arguments", "meaning"], events),
      "## Notifications of PostgreSQL",
      "Anyone who may connect to the database can hear and send them, so Hark treats them as hints only. They never carry the\n" +
        "data of a job. Their form is internal and may change in any release.",
      table(["channel", "payload"], channelRows()),
    ],
  );
}

function channelRows(): string[][] {
  const [source] = sources("core/src/notifications.ts");
  return source!.statements.flatMap((statement) => {
    if (statement.type !== "ExportNamedDeclaration" || statement.declaration?.type !== "VariableDeclaration") return [];
    return statement.declaration.declarations.flatMap(({ id, init }) => {
      const object = init?.type === "TSAsExpression" ? init.expression : init;
      if (id.type !== "Identifier" || id.name !== "channels" || object?.type !== "ObjectExpression") return [];
      return object.properties.flatMap((property) =>
        property.type === "Property" && property.value.type === "Literal"
          ? [[code(String(property.value.value)), source!.docBefore(property.start).replace(/^Payload: /, "")]]
          : [],
      );
    });
  });
}
