/** What the test run, or whoever started it, adds to the environment and a newcomer's terminal does not have. */
const added =
  /^(VITEST|NODE_ENV$|NODE_OPTIONS$|TEST_|HARK_|SCRAPER_|JOB_MANAGER_|DATABASE_URL$|LOG_LEVEL$|PORT$|PG|FORCE_COLOR$|NO_COLOR$|DEV$|PROD$|MODE$)/;

/** The environment of this process without what would change how a command behaves that a newcomer types. */
export function plainEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !added.test(name)));
}
