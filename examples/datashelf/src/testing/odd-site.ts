import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * Links in every form that two readers could read differently. All lead to pages that exist, unless
 * the text says otherwise.
 */
const odd = `<!doctype html><title>Odd <a href="in-title.html"></title>
<link rel="next" href="head-only.html"><!-- <a href="commented.html">x</a> --><script>"<a href='scripted.html'>"</script>
<style>/* <a href="styled.html"> */</style><template><a href="templated.html">x</a></template>
<textarea><a href="typed.html">x</a></textarea>
<a href="p1.html#part">fragment</a> <A HREF='p2.html'>upper case</A> <a class=x href=p3.html>unquoted</a>
<a
  title="a > b" href =
  "p4.html">over lines</a>
<a data-href="not-this.html" href="p5.html?utm_source=odd">tracking</a> <a name="anchor">no link</a>
<a href="p6.html?a=1&amp;b=2">entities</a> <a href="p6.html?a=1&#38;b=2">the same</a> <a href=" p7.html ">spaces</a>
<a href="sub">folder</a> <a href="./sub/../p8.html">dots</a> <a href="%C3%A9.html">escaped</a> <a href="é.html">plain</a>
<a href="missing.html">missing</a> <a href="picture.svg">no page</a> <a href="mailto:a@b.test">mail</a> <a href="http://[bad">bad</a>
<a href="https://example.com/">off-site</a> <a href="//127.0.0.1/">other port</a> <a href="">self</a> <a href="#">top</a>
<map name="m"><area shape="default" href="p9.html"></map> <noscript><a href="p10.html">plain</a></noscript>
<abbr href="abbr.html">no link</abbr> <area-51 href="custom.html"></area-51> <a href>empty</a>
<p><b>unclosed <a href="p11.html">link <a href="p12.html">in link</b>`;

/**
 * What a crawl of the odd site finds, by status: the first page, 50 numbered ones and one of them
 * with a query, odd, sub, sub/deep, é, the picture, and index by its name. Two links lead nowhere.
 */
export const oddSiteCounts = { 200: 58, 404: 2 };

/**
 * Writes a site of about sixty pages into an empty folder: small, and with everything that crawlers
 * read differently.
 */
export async function writeOddSite(folder: string): Promise<void> {
  await mkdir(join(folder, "sub"));
  const put = (name: string, text: string) => writeFile(join(folder, name), text);
  await put("index.html", `<a href="p0.html">first</a> <a href="odd.html">odd</a>`);
  await put("odd.html", odd);
  for (let page = 0; page < 50; page += 1) {
    await put(
      `p${page}.html`,
      `<title>${page}</title><a href="p${(page + 1) % 50}.html">next</a> <a href="./p${(page * 7) % 50}.html#x">far</a>`,
    );
  }
  await put("sub/index.html", `<a href="deep.html">deep</a> <a href="../index.html">up, by another name</a>`);
  await put(
    "sub/deep.html",
    `<base href="/sub/elsewhere/"><a href="../../p1.html">by its base</a> <a href="lost.html">lost</a>`,
  );
  await put("é.html", "");
  await put("picture.svg", `<svg><a href="from-picture.html"/></svg>`);
  for (const name of [
    "head-only",
    "commented",
    "scripted",
    "styled",
    "templated",
    "typed",
    "not-this",
    "abbr",
    "custom",
    "in-title",
  ]) {
    await put(`${name}.html`, "never linked");
  }
}
