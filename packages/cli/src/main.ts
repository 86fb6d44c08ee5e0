#!/usr/bin/env node
import { nodeComplaint } from "./node-version.ts";

// Before anything modern is loaded: an old Node would stop at its syntax, with a stack trace instead of a reason.
const complaint = nodeComplaint(process.versions.node);
if (complaint) {
  console.error(complaint);
  process.exitCode = 2;
} else {
  process.stdout.on("error", (error) => {
    if ("code" in error && error.code === "EPIPE") process.exit(0); // the reader, such as `head`, has seen enough
  });
  const { run } = await import("./run.ts");
  const code = await run(process.argv.slice(2));
  // Not by exitCode: a module given to `hark work` may have left a pool or a timer open.
  process.stdout.write("", () => process.exit(code));
}
