import { expect, test } from "vitest";
import { parseGeneric } from "./parse-generic.ts";

const pageUrl = "http://site.test/docs/a.html";
const linksOf = (html: string) => parseGeneric(html, pageUrl).links;

test("links are those of a and area: canonical, on this site, once each, in order", () => {
  expect(
    linksOf(`<a href=b.html>b</a><map><area href="/c#d"></map><a href="b.html#x">b again</a><a href="">self</a>
    <a href="https://site.test/">other scheme</a><a href="http://site.test:81/">other port</a><a href="mailto:x@y.test">m</a>`),
  ).toEqual(["http://site.test/docs/b.html", "http://site.test/c", pageUrl]);
});

test("links that people cannot click are not followed; links in noscript are, because scripts do not run", () => {
  expect(
    linksOf(`<head><link rel=next href=n.html></head><!-- <a href=c.html> --><script>'<a href=s.html>'</script>
    <template><a href=t.html>t</a></template><textarea><a href=ta.html></textarea><iframe src=i.html></iframe>
    <form action=f.html></form><img src=p.png><a name=x>anchor</a>`),
  ).toEqual([]);
  expect(linksOf("<noscript><a href=n.html>n</a></noscript>")).toEqual(["http://site.test/docs/n.html"]);
});

test("the first base moves relative links, also off the site; a malformed base is ignored", () => {
  expect(linksOf(`<base href="/other/"><base href="/third/"><a href=b.html>b</a>`)).toEqual([
    "http://site.test/other/b.html",
  ]);
  expect(linksOf(`<base href="https://elsewhere.test/"><a href=b.html>b</a>`)).toEqual([]);
  expect(linksOf(`<base href="http://"><a href=b.html>b</a>`)).toEqual(["http://site.test/docs/b.html"]);
});

test("title and text are those that a reader sees, on one line", () => {
  const html = `<title> A\n title </title><style>p{}</style><p>two  \n words &#128218;</p><script>x</script><p hidden>y</p><template>z</template>`;
  expect(parseGeneric(html, pageUrl)).toMatchObject({ title: "A title", textLength: "two words 📚".length - 1 }); // one character, two units
});

test("an empty page has no title, text or links", () => {
  expect(parseGeneric("", pageUrl)).toEqual({ title: "", textLength: 0, links: [] });
});
