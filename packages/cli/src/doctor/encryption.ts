import { type Check, ok, warn } from "./check.ts";

/**
 * What the URL asks for: what came of it is not to be seen from here, as a pooler may stand in
 * between (SEC-29).
 */
export const encryptionCheck: Check = {
  name: "encryption",
  needs: "connection",
  async run({ connection: { url } }) {
    const parsed = new URL(url.replace("@/", "@localhost/"));
    const host = parsed.searchParams.get("host") ?? decodeURIComponent(parsed.hostname);
    if (host === "" || host.startsWith("/")) return ok("a local socket needs none");
    if (host === "localhost" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host))
      return ok("this machine itself needs none");

    const mode =
      parsed.searchParams.get("sslmode") ??
      (parsed.searchParams.has("ssl") ? "require" : (process.env.PGSSLMODE ?? "none"));
    const facts = { host, sslmode: mode };
    if (mode === "verify-full") return ok("sslmode=verify-full", facts);
    const isPlain = ["none", "disable", "allow"].includes(mode);
    return warn(
      isPlain ? `the connection to ${host} is not encrypted` : `sslmode=${mode} to ${host}`,
      `Add sslmode=verify-full to the URL: it encrypts, and makes sure that the server is the one you mean.`,
      facts,
    );
  },
};
