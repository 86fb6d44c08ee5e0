/**
 * Environment variables that the test run or its caller adds, and that a new user's terminal does
 * not have.
 */
const added =
  /^(VITEST|NODE_ENV$|NODE_OPTIONS$|TEST_|HARK_|SCRAPER_|JOB_MANAGER_|DATABASE_URL$|LOG_LEVEL$|PORT$|PG|FORCE_COLOR$|NO_COLOR$|DEV$|PROD$|MODE$)/;

/**
 * The environment of this process without the variables that would change how a command behaves for
 * a new user.
 */
export function plainEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !added.test(name)));
}
