import { escapeHtml } from "./escape-html.ts";
import type { ShopBook } from "./make-books.ts";
import type { Breakage } from "./make-troubles.ts";
import type { RenderedPage } from "./rendered-page.ts";

/**
 * Breaks a valid page of a book in one way. A parser that follows the HTML standard still reads it.
 */
export function breakHtml(html: string, breakage: Breakage, book: ShopBook): RenderedPage {
  return breakers[breakage](html, book);
}

const breakers: Record<Breakage, (html: string, book: ShopBook) => RenderedPage> = {
  unclosed: (html) => utf8(html.replaceAll(/<\/(p|li|dd|dt|ul|dl|div|main|body|html)>/g, "")),
  misnested: (html) =>
    utf8(
      html
        .replace(/<h1([^>]*)>([^<]*)<\/h1>/, "<h1$1><b><i>$2</b></h1></i>")
        .replace(/<p class="price">([^<]*)<\/p>/, `<strong><p class="price"><em>$1</strong></p></em>`)
        .replace("</article>", "</div></article></section>"),
    ),
  "stray-bytes": (html) => ({ body: withStrayBytes(html), contentType: "text/html; charset=utf-8" }),
  unquoted: (html) =>
    utf8(
      html
        .replaceAll(/="([\w/#-]+)"/g, "=$1")
        .replace("<article ", `<article class=second CLASS="third" `)
        .replace("</main>", "</main><!-- cut off in the middle of"),
    ),
  "price-in-meta": (html, { priceMinor, currency }) => {
    const amount = `<meta itemprop="price" content="${(priceMinor / 100).toFixed(2)}">`;
    const unit = `<meta itemprop="priceCurrency" content="${currency}">`;
    return utf8(html.replace(/<p class="price">[^<]*<\/p>/, `<p class="price">${amount}${unit}`));
  },
  latin1: (html) => ({ body: asLatin1(html), contentType: "text/html" }),
};

/**
 * A page from which no book can be read: it responds with 200, but the title or the price is
 * missing.
 */
export function withoutField(html: string, lacks: "title" | "price", book: ShopBook): string {
  return lacks === "price"
    ? html.replace(/<p class="price">[^<]*<\/p>/, `<p class="price">Price on request</p>`)
    : html
        .replace(/<h1[^>]*>[^<]*<\/h1>/, `<h1 itemprop="name"></h1>`)
        .replace(`<title>${escapeHtml(book.title)} · `, "<title>");
}

function utf8(html: string): RenderedPage {
  return { body: Buffer.from(html), contentType: "text/html; charset=utf-8" };
}

/**
 * NUL, bytes that are not UTF-8, a lone `<` and a bare `&`: all between the fields, none inside
 * one.
 */
function withStrayBytes(html: string): Buffer {
  const [head = "", ...rest] = html.split(`<p class="author">`);
  return Buffer.concat([
    Buffer.from(head),
    Buffer.from([0x00, 0xff, 0xfe, 0xc3, 0x28]),
    Buffer.from(`< & &nosuchthing; </>`),
    Buffer.from(`<p class="author">${rest.join(`<p class="author">`)}`),
  ]);
}

/**
 * ISO-8859-1, named only by the page's own meta element. Characters outside it become numbered
 * entities.
 */
function asLatin1(html: string): Buffer {
  const meta = `<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-1">`;
  const named = html.replace(`<meta charset="utf-8">`, meta);
  const held = named.replaceAll(/[^\p{ASCII}\u00a0-\u00ff]/gu, (character) => `&#${character.codePointAt(0)};`);
  return Buffer.from(held, "latin1");
}
