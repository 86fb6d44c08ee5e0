import { listOldSnapshots } from "@hark/core";
import { type Check, ok, spoken, warn } from "./check.ts";

/** How many holders the message names. The others are counted. */
const mostNamed = 3;

/** Finds everything that keeps vacuum from removing dead rows, with the remedy for each. */
export const oldSnapshotsCheck: Check = {
  name: "old snapshots",
  needs: "schema",
  async run({ db }) {
    const found = await listOldSnapshots(db);
    const [oldest] = found;
    if (!oldest) return ok("nothing that this role can see has held vacuum back for a minute", { holders: [] });
    const { jobs, runningJobs } = oldest.deadRows;
    const named = found.slice(0, mostNamed).map(({ kind, id, application, role, state, heldMs }) => {
      const about = [application && `application "${application}"`, role && `role ${role}`, state].filter(Boolean);
      return `${kind} ${id} (${[...about, heldMs === undefined ? "since an unknown time" : `for ${spoken(heldMs)}`].join(", ")})`;
    });
    if (found.length > mostNamed) named.push(`${found.length - mostNamed} more`);
    return warn(
      `vacuum is held back by ${named.join("; ")}; dead rows: ${jobs} in jobs, ${runningJobs} in running_jobs`,
      `Meanwhile dead rows pile up and claims slow down. End it there, or run: ${oldest.remedy}`,
      { holders: found },
    );
  },
};
