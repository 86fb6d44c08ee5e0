import { hostsColumns } from "../views.ts";
import { hark } from "./hark-schema.ts";

/**
 * Hosts that jobs take turns at, one row each, written by hark.take_turn. A host without a row is
 * free.
 */
export const hosts = hark.table("hosts", hostsColumns());
