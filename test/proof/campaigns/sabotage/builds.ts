import type { Build } from "./build.ts";
import { messageBuilds } from "./builds/messages.ts";
import { moveBuilds } from "./builds/moves.ts";
import { ownerBuilds } from "./builds/owners.ts";

export const builds: readonly Build[] = [...ownerBuilds, ...moveBuilds, ...messageBuilds];

/** The build as it is: in the same way, it must break nothing. */
export const control: Build = { name: "none", does: "nothing wrong", seams: [], breaks: [] };
