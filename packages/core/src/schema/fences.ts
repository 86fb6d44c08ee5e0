import { fencesColumns } from "../views.ts";
import { hark } from "./hark-schema.ts";

/** The era of fences, in one row, written by hark.next_fence. */
export const fences = hark.table("fences", fencesColumns());
