export { canonicalUrl, isSameOrigin } from "./canonical-url.ts";
export { decodeHtml, isHtml } from "./decode-html.ts";
export { fetchPage, type FetchedPage, type FetchOptions } from "./fetch-page.ts";
export { parseBook, type ParsedBook } from "./parse-book.ts";
export { parseCategory, type ParsedCategory } from "./parse-category.ts";
export { parseGeneric, type ParsedPage } from "./parse-generic.ts";
export { parseNavigation, type ParsedNavigation } from "./parse-navigation.ts";
