import { openDatabase } from "@hark/core";
import { command } from "../command.ts";
import { findConnection, isDenied } from "../connection.ts";
import { type Check, type Finding, type Target } from "../doctor/check.ts";
import { checks } from "../doctor/checks.ts";
import { type ExitCode, exitCodes, rootOf, verdictOn } from "../exit-codes.ts";
import { type Output, printable, type Style } from "../output.ts";

interface Answer extends Omit<Finding, "status"> {
  readonly name: string;
  readonly status: Finding["status"] | "skipped";
}

export const doctorCommand = command({
  examples: ["hark doctor", "hark doctor --json | jq '.checks[] | select(.status != \"ok\")'"],
  usage: "",
  about: `Checks the installation, and says how to fix what is wrong. It checks Node, the connection, what sessions may set, the
schema, rights, publications, event triggers, ids, whether notifications arrive (LISTEN gets none through a transaction pooler), clocks, old
transactions, strangers' locks, workers, and jobs that no worker claims. It changes nothing. Exits with 1 if a check failed, and with 3 if the database cannot be reached. Warnings alone exit with 0.`,
  words: { least: 0, most: 0 },
  flags: {},
  async run({ values, output }) {
    const connection = await findConnection(values);
    const db = openDatabase({
      connectionString: connection.url,
      applicationName: "hark doctor",
      maxConnections: 2,
      isPooled: true,
      deadlineMs: 5_000,
    });
    const answers: Answer[] = [];
    try {
      for (const check of checks) {
        const answer = await runCheck(check, { connection, db }, answers);
        answers.push(answer);
        report(answer, output);
      }
    } finally {
      await db.close();
    }
    output.document({ ok: !answers.some(({ status }) => status === "fail"), checks: answers });
    return codeOf(answers);
  },
});

async function runCheck(check: Check, target: Target, before: readonly Answer[]): Promise<Answer> {
  const { name } = check;
  const connection = before.find((answer) => answer.name === "connection");
  const schema = before.find((answer) => answer.name === "schema");
  if (check.needs !== "nothing" && connection?.facts?.isConnected !== true)
    return { name, status: "skipped", message: "needs a connection" };
  if (check.needs === "schema" && schema?.status !== "ok")
    return { name, status: "skipped", message: "needs the schema" };
  if (check.needs === "schema" && schema?.facts?.isReadable === false)
    return { name, status: "skipped", message: "this role reads no tables" };
  try {
    return { name, ...(await check.run(target)) };
  } catch (error) {
    if (isDenied(error))
      return { name, status: "skipped", message: `this role may not read this: ${(rootOf(error) as Error).message}` };
    return { name, status: "fail", message: `could not be checked: ${verdictOn(error).message}` };
  }
}

const styles: Record<Answer["status"], Style> = { ok: "green", warn: "yellow", fail: "red", skipped: "dim" };
const nameWidth = Math.max(...checks.map(({ name }) => name.length));
const statusWidth = "skipped".length;

function report({ name, status, message, advice }: Answer, output: Output): void {
  output.line(
    `${output.paint(styles[status], status.padEnd(statusWidth))}  ${name.padEnd(nameWidth)}  ${printable(message)}`,
  );
  if (advice) output.line(`${" ".repeat(statusWidth + nameWidth + 4)}${printable(advice)}`);
}

function codeOf(answers: readonly Answer[]): ExitCode {
  if (answers.some(({ facts }) => facts?.isConnected === false)) return exitCodes.cannotConnect;
  return answers.some(({ status }) => status === "fail") ? exitCodes.finding : exitCodes.ok;
}
