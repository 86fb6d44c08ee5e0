import type { Catalogue } from "./make-catalogue.ts";
import { pageShell } from "./page-shell.ts";
import { bookCard } from "./render-category.ts";

/**
 * The shop's first page. Its comment and its script contain links that only a careless crawler
 * follows. They lead nowhere.
 */
export function renderHome(catalogue: Catalogue, origin: string): string {
  const featured = catalogue.books.slice(0, 4);
  const main = `<h1>Books for long evenings</h1>
<p>${catalogue.books.length} titles on ${catalogue.categories.length} shelves, each of them made up.</p>
<!-- <a href="/books/withdrawn-by-the-author">The old window</a> -->
<script>const teaser = '<a href="/books/only-in-a-script">Soon</a>';</script>
<section>
<h2>In the window</h2>
<ul class="cards">
${featured.map((book, at) => bookCard(book, at + 2, origin)).join("\n")}
</ul>
</section>`;
  return pageShell(catalogue, { title: "Books for long evenings", main });
}
