import { type Queryable, openDatabase } from "@hark/core";
import { inject, vi } from "vitest";
import { test as base } from "../../support/fixtures.ts";
import { seedOfRun } from "../../support/random.ts";
import type { TextSeam } from "../../support/seams.ts";
import { createClock } from "./clock.ts";
import { explore as exploreIn, type Findings } from "./interleaver.ts";
import type { Scenario } from "./scenario.ts";

/**
 * How many orders of a scenario to run. INTERLEAVE_ORDERS=20000 is the long mode: all orders of
 * every scenario here.
 */
export const mostOrders = Number(process.env["INTERLEAVE_ORDERS"] ?? 300);
/** The same for twins, which stop at the first broken order. */
const mostOfTwin = Math.max(mostOrders, 5_000);

/** An order takes some 30 ms on two busy cores. */
vi.setConfig({ testTimeout: 240_000 + mostOrders * 200 });

/** A twin of Hark without one guard, in its statements or in its own database. */
export interface Twin {
  readonly seams?: readonly TextSeam[];
  /** Removes the guard from the twin's database. */
  readonly wreck?: (db: Queryable) => Promise<void>;
  /**
   * The failure that it must show. A missing guard may cause several, and chance decides which
   * comes first.
   */
  readonly shows?: string;
}

export type Explore = <World>(scenario: Scenario<World>, twin?: Twin) => Promise<Findings>;

/** A test that runs scenarios. With a twin it stops at the first broken order. */
export const test = base
  .extend("connectionString", { scope: "file" }, async ({ databaseUrl, db }) => {
    await createClock(db);
    return databaseUrl;
  })
  .extend("explore", ({ connectionString, server }): Explore => {
    return async (scenario, twin) => {
      const seed = seedOfRun();
      if (!twin) return exploreIn(scenario, { connectionString, most: mostOrders, seed });
      const { wreck, ...given } = twin;
      if (!wreck) return exploreIn(scenario, { connectionString, most: mostOfTwin, seed, ...given });
      const copy = await server.createDatabase(undefined, { template: inject("template") });
      const db = openDatabase({ connectionString: copy });
      try {
        await createClock(db);
        await wreck(db);
      } finally {
        await db.close();
      }
      return exploreIn(scenario, { connectionString: copy, most: mostOfTwin, seed, ...given });
    };
  });
