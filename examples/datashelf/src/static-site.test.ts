import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { serveFolder, type StaticSite } from "./static-site.ts";

let parent: string;
let site: StaticSite;
beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), "datashelf-site-"));
  const root = join(parent, "root");
  await mkdir(join(root, "sub dir"), { recursive: true });
  await mkdir(join(parent, "root-beside"));
  await writeFile(join(parent, "secret.html"), "secret");
  await writeFile(join(parent, "root-beside", "secret.html"), "secret");
  await writeFile(join(root, "index.html"), "home");
  await writeFile(join(root, "a.css"), "p {}");
  await writeFile(join(root, "sub dir", "index.html"), "sub");
  await symlink(join(parent, "secret.html"), join(root, "link.html"));
  await symlink(join(root, "index.html"), join(root, "inner.html"));
  site = await serveFolder(root);
});
afterAll(async () => {
  await site.close();
  await rm(parent, { recursive: true });
});

/** Sends the path as it is written: fetch would resolve the dots first. */
function ask(
  path: string,
  method = "GET",
): Promise<{ status: number; type?: string; location?: string; body: string }> {
  return new Promise((resolve, reject) => {
    const { port } = new URL(site.url);
    request({ host: "127.0.0.1", port, path, method }, (response) => {
      let body = "";
      response.on("data", (chunk) => {
        body += chunk;
      });
      response.on("end", () => {
        const { "content-type": type, location } = response.headers;
        resolve({
          status: response.statusCode ?? 0,
          body,
          ...(type ? { type } : {}),
          ...(location ? { location } : {}),
        });
      });
    })
      .on("error", reject)
      .end();
  });
}

test("files are served with their type, folders with their index, HTML without a charset", async () => {
  expect(await ask("/")).toMatchObject({ status: 200, type: "text/html", body: "home" });
  expect(await ask("/index.html?x=1")).toMatchObject({ status: 200, body: "home" });
  expect(await ask("/a.css")).toMatchObject({ status: 200, type: "text/css" });
  expect(await ask("/sub%20dir/")).toMatchObject({ status: 200, body: "sub" });
  expect(await ask("/inner.html")).toMatchObject({ status: 200, body: "home" });
});

test("a folder without its slash redirects to the one with it, and never to another host", async () => {
  expect(await ask("/sub%20dir?x=1")).toMatchObject({ status: 301, location: "./sub%20dir/?x=1" });
  const response = await fetch(`${site.url}sub%20dir`);
  expect(response.url).toBe(`${site.url}sub%20dir/`);
  expect((await ask("//sub%20dir")).location).toBe("./sub%20dir/");
});

test.each([
  "/../secret.html",
  "/%2e%2e/secret.html",
  "/..%2fsecret.html",
  "/sub%20dir/../../secret.html",
  "/../root-beside/secret.html",
  "/link.html",
  "/none.html",
  "/index.html/",
  "/%00",
  "/%zz",
  "/..",
  "//etc/passwd",
])("%s does not exist", async (path) => {
  expect(await ask(path)).toMatchObject({ status: 404, body: "" });
});

test("requests are counted by path as written; only reading is allowed", async () => {
  await ask("/counted.html");
  await ask("/counted.html");
  await ask("/counted.html?x");
  expect(site.requests.get("/counted.html")).toBe(2);
  expect(site.requests.get("/counted.html?x")).toBe(1);
  expect(await ask("/", "DELETE")).toMatchObject({ status: 405 });
  expect(await ask("/", "HEAD")).toMatchObject({ status: 200, body: "" });
});

test("a missing folder is an error at once", async () => {
  await expect(serveFolder(join(parent, "none"))).rejects.toMatchObject({ code: "ENOENT" });
});
