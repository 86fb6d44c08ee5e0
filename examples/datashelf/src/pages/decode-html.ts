/**
 * Returns whether a response with this content type is a page to parse. A response without a
 * content type is not.
 */
export function isHtml(contentType: string | null): boolean {
  return /^\s*(text\/html|application\/xhtml\+xml)\s*(;|$)/i.test(contentType ?? "");
}

/**
 * Turns the bytes of a page into text. The charset is that of its byte order mark, else of its
 * content type, else the one that its first 1,024 bytes name (where the HTML standard has browsers
 * look), else UTF-8. Wrong bytes become U+FFFD.
 */
export function decodeHtml(bytes: Uint8Array, contentType: string | null): string {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 1024)).toString("latin1");
  const decoder =
    decoderFor(bomCharset(bytes)) ??
    decoderFor(/charset\s*=\s*["']?([\w:-]+)/i.exec(contentType ?? "")?.[1]) ??
    decoderFor(/<meta[^>]+charset\s*=\s*["']?\s*([\w:-]+)/i.exec(head)?.[1]) ??
    decoderFor(/^<\?xml[^>]+encoding\s*=\s*["']([\w:-]+)/i.exec(head)?.[1]) ??
    new TextDecoder();
  return decoder.decode(bytes);
}

function bomCharset([first, second, third]: Uint8Array): string | undefined {
  if (first === 0xef && second === 0xbb && third === 0xbf) return "utf-8";
  if (first === 0xfe && second === 0xff) return "utf-16be";
  if (first === 0xff && second === 0xfe) return "utf-16le";
  return undefined;
}

/**
 * Knows the labels of the Encoding standard, where latin1 and iso-8859-1 mean windows-1252, as in
 * browsers.
 */
function decoderFor(label: string | undefined): InstanceType<typeof TextDecoder> | undefined {
  if (!label) return undefined;
  try {
    return new TextDecoder(label);
  } catch {
    return undefined; // an unknown charset counts as none
  }
}
