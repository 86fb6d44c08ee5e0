import { statements } from "@hark/core";
const lit = (a) => `{${a.join(",")}}`;
export const base = {
  text: statements.settleAndClaimReadyJobs.text,
  values: ({ limit, worker, token, done }) => {
    const d = done.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    return [
      "default",
      limit,
      worker,
      token,
      ["bench"],
      -2147483648,
      0n,
      lit(d.map((x) => x.id)),
      lit(d.map((x) => x.token)),
      null,
    ];
  },
};
