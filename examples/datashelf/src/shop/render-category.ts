import { escapeHtml } from "./escape-html.ts";
import type { ShopBook } from "./make-books.ts";
import { pageSize, type Catalogue, type ShopCategory } from "./make-catalogue.ts";
import { bookHref, cover, pageShell, priceText } from "./page-shell.ts";

/** One page of a category, counted from 1, with links to the previous and the next page. */
export function renderCategory(catalogue: Catalogue, category: ShopCategory, page: number, origin: string): string {
  const books = category.books.slice((page - 1) * pageSize, page * pageSize);
  const cards = books.map((book, at) => bookCard(book, at, origin)).join("\n");
  const main = `<h1>${escapeHtml(category.name)}</h1>
${books.length === 0 ? "<p>This shelf is empty at the moment.</p>" : `<ul class="cards">\n${cards}\n</ul>`}
${category.pageCount === 1 ? "" : pager(category, page)}`;
  return pageShell(catalogue, { title: category.name, main });
}

export function bookCard(book: ShopBook, way: number, origin: string): string {
  return `<li class="card">
${cover(book)}
<h2><a href="${escapeHtml(bookHref(book, way, origin))}">${escapeHtml(book.title)}</a></h2>
<p>${escapeHtml(book.author)}</p>
<p class="price">${escapeHtml(priceText(book))}</p>
</li>`;
}

/**
 * Relative links, as many shops have them: `?page=3` keeps the path. The link to the first page has
 * no number.
 */
function pager(category: ShopCategory, page: number): string {
  const back = page === 2 ? `/category/${category.slug}` : `?page=${page - 1}`;
  return `<nav class="pager" aria-label="Pages">
${page > 1 ? `<a rel="prev" href="${escapeHtml(back)}">Previous</a>` : ""}
<span>Page ${page} of ${category.pageCount}</span>
${page < category.pageCount ? `<a rel="next" href="?page=${page + 1}">Next</a>` : ""}
</nav>`;
}
