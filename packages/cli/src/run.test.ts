import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { run } from "./run.ts";

let stdout = "";
let stderr = "";

beforeEach(() => {
  stdout = stderr = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => ((stdout += String(text)), true));
  vi.spyOn(process.stderr, "write").mockImplementation((text) => ((stderr += String(text)), true));
  for (const name of ["HARK_DATABASE_URL", "HARK_LISTEN_URL", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE"])
    vi.stubEnv(name, undefined);
  vi.stubEnv("DATABASE_URL", "postgres://someone:hunter2@127.0.0.1:1/app"); // nothing listens on port 1
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

test.for([
  [["stat"], /There is no command "stat"\. Did you mean "hark stats"\?/],
  [["frobnicate"], /There is no command "frobnicate"\. "hark --help" lists all/],
  [["constructor"], /There is no command "constructor"/],
  [["dead"], /Its commands: dead list, dead requeue/],
  [["dead", "lst"], /Did you mean "hark dead list"\?/],
  [["help", "stat"], /Did you mean "hark stats"\?/],
  [["--urll", "x", "stats"], /There is no option --urll\. Did you mean --url\?/],
  [["migrate", "--chek"], /There is no option --chek\. Did you mean --check\?/],
  [["migrate", "-c"], /There is no option -c/],
  [["migrate", "--check=yes"], /--check takes no value/],
  [["migrate", "--check", "--sql"], /either --check or --sql/],
  [["migrate", "--from", "1"], /--from needs --sql/],
  [["migrate", "--sql", "--from", "99"], /--from must be a version from 0 to \d+/],
  [["stats", "now"], /Unexpected argument "now"/],
  [["stats", "--url", "mysql://u:hunter2@h/d"], /--url is not a PostgreSQL URL/],
  [["stats", "--url", "postgres://u:hunter2@h:port/d"], /--url is not a PostgreSQL URL/],
  [["stats", "--url", "postgres://u@h/d", "--url-file", "f"], /either --url or --url-file/],
  [["stats", "--url-file", "/nowhere"], /--url-file, \/nowhere, cannot be read \(ENOENT\)/],
  [["dead", "list", "--limit", "201"], /--limit must be an integer from 1 to 200/],
  [["dead", "requeue"], /Give either the ids of dead letters or --all/],
  [["dead", "requeue", "1", "--all"], /Give either the ids of dead letters or --all/],
  [["dead", "requeue", "1", "--type", "a"], /--type needs --all/],
  [["dead", "requeue", "abc"], /"abc" is not a job id/],
  [["dead", "requeue", "9223372036854775808"], /is not a job id/],
  [["enqueue", "a"], /Too few arguments: use "hark enqueue <type> <json\|->"/],
  [["enqueue", "a", "-5"], /There is no option -5\. Put an argument that begins with "-" after "--"/],
  [["enqueue", "a", "1", "--delay"], /--delay needs a value: --delay <time>/],
  [["enqueue", "a", "{oops}"], /The payload is not JSON: .* quote it/],
  [["enqueue", "a", ""], /The payload is not JSON/],
  [["enqueue", "a", `{"id":12345678901234567890}`], /the number 12345678901234567890, which JavaScript cannot hold/],
  [["enqueue", "Email", "1"], /"Email" cannot name a job type/],
  [["enqueue", "a", "1", "--priority", "1.5"], /--priority must be an integer/],
  [["enqueue", "a", "1", "--priority", "2147483648"], /--priority must be an integer/],
  [["enqueue", "a", "1", "--attempts", "0"], /--attempts must be an integer from 1 to 1000/],
  [["enqueue", "a", "1", "--delay", "5m", "--run-at", "2030-01-01T00:00:00Z"], /either --delay or --run-at/],
  [["enqueue", "a", "1", "--run-at", "2030-02-30T00:00:00Z"], /--run-at must be a time with its zone/],
  [["enqueue", "a", "1", "--run-at", "2030-02-20T00:00"], /--run-at must be a time with its zone/],
  [["enqueue", "a", "1", "--module", "nowhere.ts"], /There is no file nowhere\.ts/],
  [["work"], /Too few arguments/],
  [["work", "nowhere.ts"], /There is no file nowhere\.ts/],
  [["work", "nowhere.ts", "--json"], /--json needs --once/],
] as const)("%s exits with 2 and prints one line that says what to type", async ([args, said]) => {
  expect(await run(args)).toBe(2);
  expect(stderr).toMatch(said);
  expect(stderr).toMatch(/^hark: .*\n$/);
  expect(stderr).not.toContain("hunter2");
  expect(stdout).toBe("");
});

test("without a database, the error says which variable to set", async () => {
  vi.stubEnv("DATABASE_URL", undefined);
  expect(await run(["stats"])).toBe(2);
  expect(stderr).toMatch(/^hark: No database is given\. Set DATABASE_URL/);
});

test("without a command, the help is printed as an error", async () => {
  expect(await run([])).toBe(2);
  expect(stderr).toMatch(/^Examples:/);
});

test.for([
  ["--help"],
  ["help"],
  ["dead", "--help"],
  ["help", "dead"],
  ["work", "--help"],
  ["help", "work"],
  ["dead", "list", "--help"],
  ["--help", "doctor"],
])("%s opens with two examples, and documents the exit codes", async (args) => {
  expect(await run(args)).toBe(0);
  expect(stdout).toMatch(/^Examples:\n {2}hark .*\n {2}hark .*\n\nUsage: hark /);
  expect(stdout).toMatch(/ 4 +Hark's schema is missing/);
  expect(stderr).toBe("");
});
