import { mkdirSync, writeFileSync } from "node:fs";
import { root } from "../blocks.ts";
import { pages } from "./pages.ts";

/** `pnpm run docs`: writes the generated pages of docs/reference anew. */
mkdirSync(`${root}docs/reference`, { recursive: true });
for (const [file, render] of Object.entries(pages)) {
  writeFileSync(`${root}docs/reference/${file}`, await render());
  process.stdout.write(`docs/reference/${file}\n`);
}
