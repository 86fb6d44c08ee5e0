import { isDemo, walkThrough } from "./walk-through.ts";

walkThrough("without pnpm", isDemo);
