import { type Check, ok, warn } from "./check.ts";

/**
 * Checks the encryption that the URL asks for. The server's view does not help, since a pooler may
 * be in between (SEC-29).
 */
export const encryptionCheck: Check = {
  name: "encryption",
  needs: "connection",
  async run({ connection: { url } }) {
    const parsed = new URL(url.replace("@/", "@localhost/"));
    const host = parsed.searchParams.get("host") ?? decodeURIComponent(parsed.hostname);
    if (host === "" || host.startsWith("/")) return ok("a local socket needs no encryption");
    if (host === "localhost" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host))
      return ok("a connection to this machine needs no encryption");

    const mode =
      parsed.searchParams.get("sslmode") ??
      (parsed.searchParams.has("ssl") ? "require" : (process.env.PGSSLMODE ?? "none"));
    const facts = { host, sslmode: mode };
    if (mode === "verify-full") return ok("sslmode=verify-full", facts);
    const isPlain = ["none", "disable", "allow"].includes(mode);
    return warn(
      isPlain ? `the connection to ${host} is not encrypted` : `sslmode=${mode} to ${host}`,
      `Add sslmode=verify-full to the URL. It encrypts the connection and verifies the server's identity.`,
      facts,
    );
  },
};
