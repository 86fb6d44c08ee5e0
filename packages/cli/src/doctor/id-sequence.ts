import { doctor } from "@hark/core";
import { type Check, ok, warn } from "./check.ts";

/** Finds a sequence of ids that stands behind the tables, as after a restore (FM-83). */
export const idSequenceCheck: Check = {
  name: "ids",
  needs: "schema",
  async run({ db }) {
    const { last, greatest } = await doctor.findIdSequence(db);
    if (last === undefined) return ok("not compared: this role may not read the sequence of ids");
    const facts = { last: String(last), greatest: String(greatest) };
    if (greatest <= last) return ok("the sequence of ids is not behind the tables", facts);
    return warn(
      `the sequence of ids stands at ${last}, and there is a job ${greatest}: new jobs get ids that others have`,
      "A restore or a replica has left it behind. Run, as the owner: select hark.advance_ids();",
      facts,
    );
  },
};
