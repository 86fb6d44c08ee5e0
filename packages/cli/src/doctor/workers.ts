import { doctor } from "@hark/core";
import { type Check, ok, warn } from "./check.ts";

/** Most workers that are listed. */
const mostNamed = 20;

export const workersCheck: Check = {
  name: "workers",
  needs: "schema",
  async run({ db }) {
    const { live, workers } = await doctor.listLiveWorkers(db, { limit: mostNamed });
    if (live === 0) return warn("no worker runs", `Start one: "hark work <module>".`, { live });
    const queues = [...new Set(workers.flatMap((worker) => Object.keys(worker.queues)))].toSorted();
    return ok(`${live} with a live lease, on queues ${queues.join(", ")}`, { live, workers });
  },
};
