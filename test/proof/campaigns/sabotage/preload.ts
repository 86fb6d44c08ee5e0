/**
 * Loaded before the main file of a process and of each of its threads. Turns it into the build that
 * HARK_SABOTAGE names.
 */
import { builds } from "./builds.ts";
import { install } from "./install.ts";

const name = process.env["HARK_SABOTAGE"];
const build = builds.find((one) => one.name === name);
if (!build) throw new Error(`HARK_SABOTAGE is ${name}: there is no such build`);
install(build.seams);
