import type { Queryable } from "@hark/core";
import type { TextSeam } from "../../../support/seams.ts";
import type { PlannedKind } from "../campaign/schedule.ts";

/** Runs one of Hark's statements. */
export type Run<Request = never, Row = unknown> = (db: Queryable, request: Request) => Promise<Row[]>;

/** Another function for some of Hark's statements, by name; `original` is the statement. */
export interface RunSeam {
  readonly statement: string | RegExp;
  readonly run: (original: Run) => Run;
}

/**
 * Another value for what one file of a package exports. The file is found by the name, wherever it
 * lies.
 */
export interface ExportSeam {
  readonly package: "core" | "producer" | "worker";
  readonly export: string;
  readonly replace: (original: never) => unknown;
}

/** SQL that is run once the schema is there. */
export interface DatabaseSeam {
  readonly database: string;
}

/**
 * A place where a sabotaged build puts something else, by a name that does not change when the code
 * around it does.
 */
export type Seam = TextSeam | RunSeam | ExportSeam | DatabaseSeam;

/** A build of Hark from which one guard was taken out, and the campaign that must notice. */
export interface Build {
  name: string;
  /** What it does wrong. */
  does: string;
  seams: Seam[];
  /** Invariants of which at least one must be broken. */
  breaks: string[];
  /** The faults that bring it to light; all if not given. */
  only?: PlannedKind[];
  minutes?: number;
  jobsPerSecond?: number;
  leaseMs?: number;
}

/** Puts a function in the place of statements. */
export function statement<Request, Row>(
  name: string | RegExp,
  run: (original: Run<Request, Row>) => Run<Request, Row>,
): RunSeam {
  return { statement: name, run: run as unknown as RunSeam["run"] };
}

/** Puts something in the place of an export. */
export function exported<Original>(
  from: ExportSeam["package"],
  name: string,
  replace: (original: Original) => Original,
): ExportSeam {
  return { package: from, export: name, replace };
}

/**
 * Puts a function in the place of a method of an exported class. Throws if the class has no such
 * method.
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
