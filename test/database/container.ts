import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { get } from "node:http";
import { homedir } from "node:os";
import { join } from "node:path";
import { type ServerOptions, serverSettings } from "./settings.ts";

const image = "postgres:18-alpine";
/** How long a Docker engine may take to respond, in ms. */
const answerMs = 1_000;

/**
 * Returns whether a Docker engine responds. Many machines have a client without an engine, and
 * testcontainers takes a second to load. So this asks first at the places where testcontainers
 * would look.
 */
export async function dockerAnswers(): Promise<boolean> {
  for (const place of places()) if (await answers(place)) return true;
  return false;
}

/**
 * Starts PostgreSQL 18 in a container. Returns its URL and how to end it. If this process dies,
 * testcontainers ends it.
 */
export async function startContainer(options: ServerOptions): Promise<{ url: string; end: () => Promise<void> }> {
  const { GenericContainer, Wait } = await import("testcontainers");
  const password = randomBytes(18).toString("hex");
  // A container has its addresses to itself, and its socket is used by the image's own set-up.
  const settings = {
    ...serverSettings(options),
    listen_addresses: "*",
    unix_socket_directories: "/var/run/postgresql",
  };

  const container = await new GenericContainer(image)
    .withEnvironment({
      POSTGRES_PASSWORD: password,
      POSTGRES_INITDB_ARGS: "--encoding=UTF8 --locale=C",
    })
    .withCommand(["postgres", ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])])
    .withExposedPorts(5432)
    .withWaitStrategy(Wait.forLogMessage(/ready to accept connections/, 2)) // the first one comes from the image's set-up
    .withStartupTimeout(120_000)
    .start();

  return {
    url: `postgres://postgres:${password}@${container.getHost()}:${container.getMappedPort(5432)}/postgres`,
    end: async () => void (await container.stop()),
  };
}

interface Place {
  socketPath?: string;
  host?: string;
  port?: string;
}

/** The places where testcontainers would look, in its order. DOCKER_HOST comes first. */
function places(): Place[] {
  const given = process.env["DOCKER_HOST"];
  if (given) {
    if (!URL.canParse(given)) return [];
    const { protocol, hostname, port, pathname } = new URL(given);
    if (protocol === "unix:") return [{ socketPath: pathname }];
    return protocol === "tcp:" || protocol === "http:" ? [{ host: hostname, port: port || "2375" }] : [];
  }
  return [
    "/var/run/docker.sock",
    join(process.env["XDG_RUNTIME_DIR"] ?? `/run/user/${process.getuid?.() ?? ""}`, "docker.sock"),
    join(homedir(), ".docker/run/docker.sock"),
    join(homedir(), ".docker/desktop/docker.sock"),
  ]
    .filter((path) => existsSync(path))
    .map((socketPath) => ({ socketPath }));
}

function answers(place: Place): Promise<boolean> {
  // An engine that expects TLS refuses this plain request. Without TLS, a refusal comes from
  // another program, such as a proxy.
  const wantsTls = process.env["DOCKER_TLS_VERIFY"] === "1";
  const signal = AbortSignal.timeout(answerMs);
  return new Promise((resolve) => {
    const request = get({ ...place, path: "/_ping", agent: false, signal }, (response) => {
      response.destroy();
      resolve(response.statusCode === 200 || wantsTls);
    });
    request.once("error", () => resolve(false));
  });
}
