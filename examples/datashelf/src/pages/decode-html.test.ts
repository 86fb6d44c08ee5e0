import { expect, test } from "vitest";
import { decodeHtml, isHtml } from "./decode-html.ts";

const latin1 = (text: string) => Buffer.from(text, "latin1");

test("the content type's charset is used, in any spelling", () => {
  for (const contentType of [
    "text/html; charset=ISO-8859-1",
    `text/html;charset="latin1"`,
    "text/html; Charset=windows-1252",
  ]) {
    expect(decodeHtml(latin1("caf\u00e9"), contentType)).toBe("café");
  }
});

test("without a content type charset, the charset that the page names is used", () => {
  expect(decodeHtml(latin1(`<meta charset=iso-8859-1><p>\u00e9`), "text/html")).toContain("é");
  expect(
    decodeHtml(latin1(`<META http-equiv="Content-Type" content="text/html; charset=iso-8859-1"><p>\u00e9`), null),
  ).toContain("é");
  expect(decodeHtml(latin1(`<?xml version="1.0" encoding="ISO-8859-1"?><p>\u00e9`), null)).toContain("é");
});

test("a byte order mark takes precedence over both, and is not part of the text", () => {
  expect(decodeHtml(Buffer.from("\ufeffé"), "text/html; charset=latin1")).toBe("é");
  expect(decodeHtml(Buffer.from("\ufeffé", "utf16le"), null)).toBe("é");
});

test("UTF-8 is the default, also for an unknown charset; wrong bytes do not throw", () => {
  expect(decodeHtml(Buffer.from("é"), "text/html; charset=klingon")).toBe("é");
  expect(decodeHtml(Buffer.from([0x61, 0xff, 0x62]), null)).toBe("a\ufffdb");
  expect(decodeHtml(new Uint8Array(), null)).toBe("");
});

test("only the two content types of HTML are pages", () => {
  for (const type of ["text/html", "TEXT/HTML;charset=x", "application/xhtml+xml"]) expect(isHtml(type)).toBe(true);
  for (const type of [null, "", "text/plain", "text/html2", "image/svg+xml", "application/pdf"])
    expect(isHtml(type)).toBe(false);
});
