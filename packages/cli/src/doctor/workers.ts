import { type Check, ok, warn } from "./check.ts";

/** Most workers named one by one. */
const mostNamed = 20;

export const workersCheck: Check = {
  name: "workers",
  needs: "schema",
  async examine({ db }) {
    const { rows } = await db.query({
      text: `select name, hostname, pid, queues, started_at, count(*) over ()::int as live from hark.workers
              where dead_at is null and expires_at > clock_timestamp() order by started_at limit $1`,
      values: [mostNamed],
    });
    const live = Number(rows[0]?.live ?? 0);
    if (live === 0) return warn("none runs", `Start one: "hark work <module>".`, { live });
    const queues = [...new Set(rows.flatMap((row) => Object.keys(row.queues as object)))].toSorted();
    const workers = rows.map(({ name, hostname, pid, queues: own, started_at }) => ({
      name,
      hostname,
      pid,
      queues: own,
      startedAt: started_at,
    }));
    return ok(`${live} with a live lease, on queues ${queues.join(", ")}`, { live, workers });
  },
};
