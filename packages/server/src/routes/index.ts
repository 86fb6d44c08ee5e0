/** The subpath `@hark/server/routes`, for packages that add routes to the server. */
export { changeDeadlineMs, readDeadlineMs, within } from "../deadline.ts";
export { type Failure, failureOf } from "../failures.ts";
export { type Access, type Env, needs } from "../middleware/access.ts";
export { readBody, readQuery } from "../middleware/body.ts";
export { answerFailure } from "../middleware/errors.ts";
export { SharedRead } from "../shared-read.ts";
export type { RouteParts, Routes } from "./routes.ts";
