export { decodeHtml, isHtml } from "./decode-html.ts";
export { fetchPage } from "./fetch-page.ts";
export { parseBook } from "./parse-book.ts";
export { parseCategory } from "./parse-category.ts";
export { parseGeneric } from "./parse-generic.ts";
export { parseNavigation } from "./parse-navigation.ts";
