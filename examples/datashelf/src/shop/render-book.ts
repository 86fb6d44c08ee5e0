import { escapeHtml } from "./escape-html.ts";
import type { ShopBook } from "./make-books.ts";
import { categoryPath, type Catalogue } from "./make-catalogue.ts";
import { cover, pageShell, priceText } from "./page-shell.ts";

/** The page of one book, valid and complete. */
export function renderBook(catalogue: Catalogue, book: ShopBook): string {
  const shelves = catalogue.categories.filter(({ books }) => books.includes(book));
  const links = shelves.map((shelf) => `<a href="${escapeHtml(categoryPath(shelf, 1))}">${escapeHtml(shelf.name)}</a>`);
  const main = `<p class="trail"><a href="/">Home</a> › ${links.join(", ")}</p>
<article class="book" itemscope itemtype="https://schema.org/Book">
${cover(book)}
<div>
<h1 itemprop="name">${escapeHtml(book.title)}</h1>
<p class="author">by <span itemprop="author">${escapeHtml(book.author)}</span></p>
<p class="price">${escapeHtml(priceText(book))}</p>
<p class="rating">${book.rating.toFixed(1)} out of 5</p>
${stockLine(book)}
<div class="description" itemprop="description">
${book.paragraphs.map((paragraph) => `<p>${escapeHtml(paragraph)}</p>`).join("\n")}
</div>
<dl id="details">
<dt>ISBN-13</dt><dd itemprop="isbn">${hyphenated(book.isbn)}</dd>
<dt>Binding</dt><dd>Paperback</dd>
</dl>
</div>
</article>`;
  return pageShell(catalogue, { title: book.title, main });
}

function stockLine({ stock }: ShopBook): string {
  return stock === 0
    ? `<p class="stock out">Out of stock</p>`
    : `<p class="stock in">In stock (${stock} available)</p>`;
}

function hyphenated(isbn: string): string {
  return [isbn.slice(0, 3), isbn.slice(3, 4), isbn.slice(4, 7), isbn.slice(7, 12), isbn.slice(12)].join("-");
}
