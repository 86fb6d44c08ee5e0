import { walkThrough } from "../../docs/walk-through.ts";

walkThrough("as typed", () => true);
