#!/usr/bin/env node
/** The `hark` command of the package that users install. */
await import("@hark/cli/main");
