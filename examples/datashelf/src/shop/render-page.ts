import { breakHtml, withoutField } from "./break-html.ts";
import { bookPath, categoryPath, type Catalogue } from "./make-catalogue.ts";
import { renderBook } from "./render-book.ts";
import { renderCategory } from "./render-category.ts";
import { renderHome } from "./render-home.ts";
import type { RenderedPage } from "./rendered-page.ts";

/**
 * Returns a function from path and query to a page, or null if the shop has none. Troubles in the
 * HTML (broken, unparsable) are in the page already; troubles of the response (slow, busy, gone,
 * failing) are left to the server.
 */
export function pageRenderer(catalogue: Catalogue, origin: string): (path: string) => RenderedPage | null {
  const pages = new Map<string, () => RenderedPage>();
  pages.set("/", () => sound(renderHome(catalogue, origin)));
  for (const category of catalogue.categories) {
    for (let page = 1; page <= category.pageCount; page += 1) {
      pages.set(categoryPath(category, page), () => sound(renderCategory(catalogue, category, page, origin)));
    }
  }
  for (const book of catalogue.books) {
    const trouble = catalogue.troubles.get(bookPath(book));
    pages.set(bookPath(book), () => {
      const html = renderBook(catalogue, book);
      if (trouble?.kind === "broken") return breakHtml(html, trouble.breakage, book);
      return sound(trouble?.kind === "unparsable" ? withoutField(html, trouble.lacks, book) : html);
    });
  }
  return (path) => pages.get(path)?.() ?? null;
}

function sound(html: string): RenderedPage {
  return { body: Buffer.from(html), contentType: "text/html; charset=utf-8" };
}
