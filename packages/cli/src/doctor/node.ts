import { isAtLeast, leastNode, leastNodeForTypeScript } from "@hark/core/node-version";
import { type Check, fail, ok } from "./check.ts";

export const nodeCheck: Check = {
  name: "node",
  needs: "nothing",
  async run() {
    const version = process.versions.node;
    if (!isAtLeast(version, leastNode))
      return fail(`Node ${version}`, `Install Node ${leastNode} or newer.`, { version });
    const runsTypeScript = isAtLeast(version, leastNodeForTypeScript);
    return ok(
      `Node ${version}${runsTypeScript ? "" : `, which cannot run TypeScript: that needs Node ${leastNodeForTypeScript}`}`,
      { version },
    );
  },
};
