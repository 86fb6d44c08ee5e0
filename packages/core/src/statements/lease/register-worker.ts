import { neverReturned, statement } from "../statement.ts";

/** Registers a worker process under a new identity, with a lease of `leaseMs`. */
export const registerWorker = statement<
  { id: string; name: string; hostname: string; pid: number; queues: string; leaseMs: number },
  never
>(
  "register-worker",
  ["id", "name", "hostname", "pid", "queues", "leaseMs"],
  `insert into hark.workers (id, name, hostname, pid, queues, started_at, expires_at, steady_since)
   values ($1, $2, $3, $4, $5::jsonb, clock_timestamp(), clock_timestamp() + $6::float8 * interval '1 ms',
           clock_timestamp())`,
  neverReturned,
);
