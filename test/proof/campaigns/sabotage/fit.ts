/**
 * Imports Hark with the seams of all builds at once, and prints the seams that were not used. They
 * name something that no longer exists.
 */
import { builds } from "./builds.ts";
import { install } from "./install.ts";

const seams = builds.flatMap((build) => build.seams);
const used = install(seams);
for (const name of ["core", "core/statements", "producer", "worker"]) await import(`@hark/${name}`);

const unused = builds.flatMap(({ name, seams: own }) =>
  own.flatMap((seam) => {
    if ("database" in seam || used.has(seam)) return [];
    return [`${name}: ${"export" in seam ? seam.export : String(seam.statement)}`];
  }),
);
process.stdout.write(JSON.stringify(unused));
