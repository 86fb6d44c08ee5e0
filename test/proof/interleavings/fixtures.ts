import { type Queryable, openDatabase } from "@hark/core";
import { inject, vi } from "vitest";
import { test as base } from "../../support/fixtures.ts";
import { seedOfRun } from "../../support/random.ts";
import type { TextSeam } from "../../support/seams.ts";
import { createClock } from "./clock.ts";
import { explore as exploreIn, type Findings } from "./interleaver.ts";
import type { Scenario } from "./scenario.ts";

/** Most orders of a scenario. INTERLEAVE_ORDERS=20000 is the long mode: all there are of every scenario here. */
export const mostOrders = Number(process.env["INTERLEAVE_ORDERS"] ?? 300);
/** For twins, which stop at the first broken order. */
const mostOfTwin = Math.max(mostOrders, 5_000);

/** An order takes some 30 ms on two busy cores. */
vi.setConfig({ testTimeout: 240_000 + mostOrders * 200 });

/** A twin of the product with one guard left out, in statements or in a database of its own. */
export interface Twin {
  readonly seams?: readonly TextSeam[];
  /** Takes the guard out of the twin's database. */
  readonly wreck?: (db: Queryable) => Promise<void>;
  /** What it has to show. A guard that is missing may show in several ways, and chance decides which is met first. */
  readonly shows?: string;
}

export type Explore = <World>(scenario: Scenario<World>, twin?: Twin) => Promise<Findings>;

/** A test that runs scenarios; with a twin until it finds what is wrong. */
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
