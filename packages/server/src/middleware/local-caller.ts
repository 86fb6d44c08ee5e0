import type { IncomingMessage } from "node:http";
import { isLoopback } from "../loopback.ts";

/**
 * Headers that only a proxy adds. One of them means that the caller may be on another machine,
 * although the proxy is on this one.
 */
const proxyHeaders = [
  // RFC 7239, RFC 9110, RFC 8586, and what most proxies send instead.
  /^(forwarded|via|cdn-loop|max-forwards|proxy-.+)$/,
  /^x-(original|originating|real|cluster|proxy|proxyuser|envoy|azure|arr|appengine|amzn|amz-cf|nginx|host|scheme|rewrite|varnish|cache|traefik|haproxy|ssl)\b/,
  // Headers of one product each: Cloudflare, Fastly, Fly, Akamai, Imperva, Tailscale, Alibaba,
  // Netlify, Vercel, ngrok, IIS.
  /^(x-)?(cf|fastly|fly|akamai|incap|tailscale|ali|nf|vercel|ngrok|front-end)-/,
  // X-Vercel-Forwarded-For, Forwarded-For, X-Forwarded and others with the word.
  /(^|-)forward(ed|er)(-|$)/,
  // True-Client-IP, DO-Connecting-IP, Remote-Addr, X-Remote-User and others that name who speaks.
  /(^|-)(client|connecting|connection|remote|source|src|user|visitor|peer)-?(ip|addr|address|host|port)$/,
  /(^|-)remote-/,
];

/**
 * Returns why a request does not prove to come from a program on this machine, or undefined if it
 * does: its socket ends at a loopback address, and no proxy speaks for somebody else (SEC-10). The
 * address is never taken from a header.
 */
export function doubtOfCaller(incoming: IncomingMessage | undefined): string | undefined {
  const peer = incoming?.socket?.remoteAddress;
  if (!incoming || peer === undefined) return "it cannot see the address that a request comes from";
  if (!isLoopback(peer)) return "the request comes from another machine";
  if (Object.keys(incoming.headers).some(isProxyHeader)) return "the request came through a proxy";
  // nginx adds no header by default, but speaks HTTP/1.0 to what stands behind it.
  if (incoming.httpVersionMajor === 1 && incoming.httpVersionMinor === 0)
    return "the request is HTTP/1.0, which proxies send";
  return undefined;
}

/** Some servers turn "_" into "-", so both are taken for the same. */
function isProxyHeader(name: string): boolean {
  const spelled = name.toLowerCase().replaceAll("_", "-");
  return proxyHeaders.some((pattern) => pattern.test(spelled));
}
