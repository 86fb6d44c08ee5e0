import { mkdirSync, writeFileSync } from "node:fs";
import { root } from "../blocks.ts";
import { pages } from "./pages.ts";

/** `pnpm run docs`: writes the generated pages of docs/. */
mkdirSync(`${root}docs/reference`, { recursive: true });
for (const [file, render] of Object.entries(pages)) {
  writeFileSync(`${root}docs/${file}`, await render());
  process.stdout.write(`docs/${file}\n`);
}
