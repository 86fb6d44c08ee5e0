import { escapeHtml } from "./escape-html.ts";
import type { ShopBook } from "./make-books.ts";
import { bookPath, categoryPath, type Catalogue, type ShopCategory } from "./make-catalogue.ts";

export const shopName = "The Crooked Shelf";

const style = `
  :root { color-scheme: light; --ink: #2b2622; --paper: #fbf8f3; --line: #e4dccf; --accent: #8a3b2a; }
  * { box-sizing: border-box; }
  body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 Georgia, "Times New Roman", serif; }
  a { color: var(--accent); text-underline-offset: 2px; }
  header, main, footer { max-width: 68rem; margin: 0 auto; padding: 1rem 1.5rem; }
  header { border-bottom: 1px solid var(--line); }
  header > a { font-size: 1.6rem; text-decoration: none; color: var(--ink); }
  nav.categories ul { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: .5rem 0 0; padding: 0; }
  .cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(12rem, 1fr)); gap: 1.25rem; padding: 0; list-style: none; }
  .card { border: 1px solid var(--line); border-radius: .4rem; background: #fff; padding: .9rem; }
  .card h2 { font-size: 1.05rem; line-height: 1.3; margin: .6rem 0 .2rem; }
  .card p { margin: .1rem 0; font-size: .92rem; }
  .cover { height: 9rem; border-radius: .25rem; }
  .price { font-weight: bold; }
  .pager { display: flex; gap: 1.5rem; align-items: baseline; margin: 1.5rem 0; }
  .book { display: grid; grid-template-columns: minmax(8rem, 14rem) 1fr; gap: 2rem; }
  .book .cover { height: 20rem; }
  .book h1 { margin: 0 0 .25rem; line-height: 1.2; }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
  dd { margin: 0; }
  .out { color: #777; }
  footer { border-top: 1px solid var(--line); font-size: .88rem; color: #6b635a; }
  @media (max-width: 40rem) { .book { grid-template-columns: 1fr; } }
`;

/**
 * Puts a page's own content into the shop's head, menu and foot. The foot links off the site, which
 * a crawl must not follow.
 */
export function pageShell(
  { categories }: Pick<Catalogue, "categories">,
  page: { title: string; main: string },
): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(page.title)} · ${escapeHtml(shopName)}</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<header>
<a href="/">${escapeHtml(shopName)}</a>
<nav class="categories" aria-label="Categories">
<ul>
${categories.map(menuEntry).join("\n")}
</ul>
</nav>
</header>
<main>
${page.main}
</main>
<footer>
<p>${escapeHtml(shopName)} sells books that do not exist. <a href="mailto:shop@example.com">Write to us</a>,
<a href="tel:+4400000000">call</a>, or visit <a href="https://example.com/?from=shop">our friends</a>.
<a href="#" onclick="scrollTo(0, 0)">Back to top</a></p>
</footer>
</body>
</html>
`;
}

/** A coloured rectangle instead of a picture: its hue comes from the ISBN. */
export function cover(book: ShopBook): string {
  const hue = (Number(book.isbn) * 47) % 360; // a factor that gives neighbours different hues
  const colours = `linear-gradient(150deg, hsl(${hue} 45% 42%), hsl(${(hue + 40) % 360} 50% 62%))`;
  return `<div class="cover" style="background: ${colours}" aria-hidden="true"></div>`;
}

export function priceText({ priceMinor, currency }: Pick<ShopBook, "priceMinor" | "currency">): string {
  const amount = (priceMinor / 100).toFixed(2);
  return currency === "GBP" ? `£${amount}` : `${amount.replace(".", ",")} €`;
}

/** The ways in which real pages link to the same book. All of them have one canonical address. */
export function bookHref(book: ShopBook, way: number, origin: string): string {
  const path = bookPath(book);
  switch (way % 6) {
    case 1:
      return `..${path}`;
    case 2:
      return `${path}#reviews`;
    case 3:
      return `${path}?utm_source=shelf&utm_medium=card`;
    case 4:
      return `${origin.replace("http:", "HTTP:")}${path}`;
    case 5:
      return `${path}?utm_campaign=winter#details`;
    default:
      return path;
  }
}

function menuEntry(category: ShopCategory): string {
  return `<li><a href="${escapeHtml(categoryPath(category, 1))}">${escapeHtml(category.name)}</a></li>`;
}
