import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import type { Project } from "./project.ts";

/** How long the server may take to start, and a job to run, in ms. */
const waitMs = 60_000;

/** Starts the standalone server of Next, enqueues a job in its route, and waits until it ran. */
export async function answersAndWorks(project: Project, cwd: string): Promise<void> {
  const port = await freePort();
  const child = project.start("exec node server.js", { cwd, env: { PORT: String(port), HOSTNAME: "127.0.0.1" } });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output += String(text)));
  const said = (text: string) =>
    eventually(() => output.includes(text) || (child.exitCode !== null && "ended"), {
      withinMs: waitMs,
      what: `${text} in:\n${output}`,
    });
  try {
    await said("Ready in");
    const answer = await fetch(`http://127.0.0.1:${port}/api/jobs`, {
      method: "POST",
      body: JSON.stringify({ email: "ada@example.com" }),
    });
    expect(answer.status, output).toBe(200);
    expect(await answer.json()).toEqual({ id: expect.stringMatching(/^\d+$/) as string });
    expect(await said("sent { email: 'ada@example.com' }"), output).toBe(true);
  } finally {
    child.kill("SIGKILL");
    await once(child, "close");
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  return port;
}
