// @module-tag SEC-02
import { randomBytes } from "node:crypto";
import { expect } from "vitest";
import { test } from "../support/logins.ts";

/*
 * SEC-02: PostgreSQL lets PUBLIC execute every new function. The migration that creates one of ours
 * closes it, and so does roles.sql.
 */

/**
 * The roles that may execute each function, by roles.sql. Only the owner may execute a function
 * that is not here.
 */
const expected: Record<string, string[]> = {
  enqueue: ["hark_admin", "hark_producer"],
  enqueue_many: ["hark_admin", "hark_producer"],
  insert_jobs: ["hark_admin", "hark_producer"],
  queue_depth: ["hark_admin", "hark_producer"],
  job_result: ["hark_admin", "hark_producer"],
  create_partitions: ["hark_worker"],
  drop_partitions: ["hark_worker"],
  next_fence: ["hark_worker"],
  hand_off: ["hark_admin"],
  fire_schedule: ["hark_worker"],
  take_turn: ["hark_worker"],
  absolve_claims: ["hark_worker"],
  lock_row: ["hark_worker"],
  advance_ids: ["hark_admin", "hark_producer"],
  separate_ids: ["hark_admin", "hark_worker"],
  finished_job: ["hark_admin", "hark_reader"],
  finished_job_between: ["hark_admin", "hark_reader"],
  attempts_of: ["hark_admin", "hark_reader"],
};

test("a role without grants can execute none of our functions, and each role those for its purpose", async ({
  logIn,
  pool,
}) => {
  await logIn("hark_producer"); // makes the roles
  const stranger = `hark_test_${randomBytes(6).toString("hex")}`;
  await pool.query(`create role ${stranger}`);
  try {
    const { rows } = await pool.query<{ name: string; role: string; may: boolean }>(
      `select proname as name, role, has_function_privilege(role, p.oid, 'execute') as may
         from pg_proc p, unnest($1::text[]) as role where pronamespace = 'hark'::regnamespace order by proname, role`,
      [[stranger, "hark_producer", "hark_worker", "hark_reader", "hark_admin"]],
    );
    expect(new Set(rows.map(({ name }) => name)).size).toBeGreaterThanOrEqual(10);
    const found: Record<string, string[]> = {};
    for (const { name, role, may } of rows) if (may) (found[name] ??= []).push(role);
    expect(found).toEqual(expected);
  } finally {
    await pool.query(`drop role ${stranger}`);
  }
});
