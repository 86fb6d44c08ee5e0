import { isDemo, walkThrough } from "./walk-through.ts";

/* As typed, with pnpm: test/proof/docs/commands.test.ts. */
walkThrough("without pnpm", (block) => !isDemo(block));
