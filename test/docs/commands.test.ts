import { isDemo, walkThrough } from "./walk-through.ts";

/* test/proof/docs/commands.test.ts runs them as typed, with pnpm. */
walkThrough("without pnpm", (block) => !isDemo(block));
