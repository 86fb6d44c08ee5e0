import type { Queryable } from "@hark/core";
import type { TextSeam } from "../../../support/seams.ts";
import type { PlannedKind } from "../campaign/schedule.ts";

/** Runs one of Hark's statements. */
export type Run<Request = never, Row = unknown> = (db: Queryable, request: Request) => Promise<Row[]>;

/** Replaces the function of some of Hark's statements, by name. `original` is the statement. */
export interface RunSeam {
  readonly statement: string | RegExp;
  readonly run: (original: Run) => Run;
}

/**
 * Replaces the value of an export of a package. The file is found by the name of the export.
 */
export interface ExportSeam {
  readonly package: "core" | "producer" | "worker";
  readonly export: string;
  readonly replace: (original: never) => unknown;
}

/** SQL that runs after the migration. */
export interface DatabaseSeam {
  readonly database: string;
}

/**
 * A place that a sabotaged build changes. It has a name that stays the same when the code around it
 * changes.
 */
export type Seam = TextSeam | RunSeam | ExportSeam | DatabaseSeam;

/** A build of Hark without one guard, and the campaign that must catch it. */
export interface Build {
  name: string;
  /** What it does wrong. */
  does: string;
  seams: Seam[];
  /** Invariants of which at least one must be broken. */
  breaks: string[];
  /** The faults that reveal it. Default: all. */
  only?: PlannedKind[];
  minutes?: number;
  jobsPerSecond?: number;
  leaseMs?: number;
}

/** Replaces the function of statements. */
export function statement<Request, Row>(
  name: string | RegExp,
  run: (original: Run<Request, Row>) => Run<Request, Row>,
): RunSeam {
  return { statement: name, run: run as unknown as RunSeam["run"] };
}

/** Replaces an export. */
export function exported<Original>(
  from: ExportSeam["package"],
  name: string,
  replace: (original: Original) => Original,
): ExportSeam {
  return { package: from, export: name, replace };
}

/**
 * Replaces a method of an exported class. Throws if the class has no such method.
 */
export function method<Method extends (...given: never[]) => unknown>(
  from: ExportSeam["package"],
  name: `${string}.${string}`,
  replace: (original: Method) => Method,
): ExportSeam {
  const [className = "", methodName = ""] = name.split(".");
  return exported<new (...given: any[]) => object>(from, className, (Original) => {
    const own: unknown = Reflect.get(Original.prototype as object, methodName);
    if (typeof own !== "function") throw new Error(`the seam does not fit: ${className} has no method ${methodName}`);
    const Changed = class extends Original {};
    Object.defineProperty(Changed.prototype, methodName, { value: replace(own as Method) });
    return Changed;
  });
}
