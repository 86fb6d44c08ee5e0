#!/usr/bin/env node
import { nodeComplaint } from "@hark/core/node-version";
import { endOnSigterm } from "./early-signals.ts";

// Runs before any modern syntax is loaded. Otherwise an old Node would fail there with a stack
// trace instead of a reason.
const complaint = nodeComplaint(process.versions.node);
if (complaint) {
  console.error(`hark: ${complaint}`);
  process.exitCode = 2;
} else {
  process.stdout.on("error", (error) => {
    if ("code" in error && error.code === "EPIPE") process.exit(0); // the reader, such as `head`, has closed the pipe
  });
  const args = process.argv.slice(2);
  if (args.includes("work")) endOnSigterm();
  const { run } = await import("./run.ts");
  const code = await run(args);
  // Setting exitCode is not enough: the user's module may have left a pool or a timer open.
  process.stdout.write("", () => process.exit(code));
}
