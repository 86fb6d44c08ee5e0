import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TLSSocket } from "node:tls";

export interface TlsFront extends AsyncDisposable {
  /** The database's URL through the front, with TLS and without a check of the certificate. */
  url: string;
  /** The number of encrypted connections. */
  readonly encrypted: number;
}

/**
 * Adds TLS to a database without it. Works like PostgreSQL: the client asks for TLS, then the same
 * connection is encrypted.
 */
export async function startTlsFront(databaseUrl: string): Promise<TlsFront> {
  const { hostname, port } = new URL(databaseUrl);
  const certificate = await makeCertificate();
  const open = new Set<Socket>();
  let encrypted = 0;
  const server = createServer((raw) => {
    open.add(raw.on("error", () => {}));
    raw.once("data", () => {
      const secure = new TLSSocket(raw, { isServer: true, ...certificate });
      const upstream = connect(Number(port), hostname);
      open.add(upstream);
      secure.on("error", () => {}).on("secure", () => (encrypted += 1));
      upstream.on("error", () => {});
      secure.pipe(upstream).pipe(secure);
      raw.write("S");
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const url = new URL(databaseUrl);
  url.hostname = "127.0.0.1";
  url.port = String((server.address() as AddressInfo).port);
  url.searchParams.set("sslmode", "no-verify");
  return {
    url: url.href,
    get encrypted() {
      return encrypted;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

async function makeCertificate(): Promise<{ key: string; cert: string }> {
  const folder = await mkdtemp(join(tmpdir(), "hark-tls-"));
  const [key, cert] = [join(folder, "key"), join(folder, "cert")];
  const wish = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"];
  try {
    execFileSync("openssl", ["req", "-x509", ...wish, "-keyout", key, "-out", cert], { stdio: "pipe" });
    return { key: await readFile(key, "utf8"), cert: await readFile(cert, "utf8") };
  } catch (cause) {
    throw new Error(
      "This test makes a certificate with openssl, which failed. Run `sudo apt-get install openssl` if it is missing.",
      { cause },
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
