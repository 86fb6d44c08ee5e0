import { UnsupportedNodeError } from "./errors/index.ts";
import { nodeComplaint } from "./node-version.ts";

export { leastNode } from "./node-version.ts";

// Imported before everything else, so that an old Node ends with this sentence and not with the
// first function that it lacks.
const found = process.versions.node;
const complaint = nodeComplaint(found);
if (complaint !== undefined) throw new UnsupportedNodeError(found, complaint);
