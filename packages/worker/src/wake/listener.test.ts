import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { type Logger, silentLogger } from "@hark/core";
import { channels } from "@hark/core/internal";
import { expect, test, vi } from "vitest";
import { Listener } from "./listener.ts";
import { restAfter } from "./reconnect.ts";

test("rests are short in the first minute, then grow at random up to 5 s", { tags: ["FM-01"] }, () => {
  expect([0, 0.5, 1].map((chance) => restAfter(59_999, 5_000, () => chance))).toEqual([50, 250, 450]);

  expect(restAfter(60_000, 60, () => 1)).toBe(450); // a short rest does not make the next one shorter
  expect([0, 0.5, 1].map((chance) => restAfter(60_000, 400, () => chance))).toEqual([450, 825, 1_200]);
  expect(restAfter(600_000, 4_000, () => 1)).toBe(5_000);
});

test("the listener keeps trying to reach an absent server, and says why it is not listening", async () => {
  const listener = new Listener({ connectionString: await nobodyThere(), logger: silentLogger });

  listener.start();
  listener.start();

  await vi.waitFor(() => expect(listener.attempts).toBeGreaterThan(2), { timeout: 5_000 });
  expect(listener.state).toBe("connecting");
  expect(listener.reason).toMatch(/ECONNREFUSED/);
  await listener.close();
  expect(listener.state).toBe("closed");
});

test("an invalid URL is reported like any other reason", async () => {
  const listener = new Listener({ connectionString: "postgres://%zz:[", logger: silentLogger });
  listener.start();

  await vi.waitFor(() => expect(listener.counts.failures).toBeGreaterThan(1), { timeout: 5_000 });
  expect(listener.reason).toMatch(/connecting failed/);
  await listener.close();
});

test("an outage does not fill the log, and a logger that throws does no harm", { tags: ["FM-09"] }, async () => {
  const lines: string[] = [];
  const logger: Logger = {
    ...silentLogger,
    warn(_, message) {
      lines.push(message);
      throw new Error("disk full");
    },
    child: () => logger,
  };
  const listener = new Listener({ connectionString: await nobodyThere(), logger });
  listener.start();

  await vi.waitFor(() => expect(listener.attempts).toBeGreaterThan(5), { timeout: 5_000 });
  expect(lines.length).toBeLessThan(4); // one a second and kind
  await listener.close();
});

test("waiting for the listener ends with a signal, or when it is closed", async () => {
  const listener = new Listener({ connectionString: await nobodyThere(), logger: silentLogger });
  const stop = new AbortController();
  const waiting = listener.whenListening(stop.signal);
  const other = listener.whenListening();

  stop.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
  await Promise.all([listener.close(), expect(other).rejects.toMatchObject({ code: "LISTENER_CLOSED" })]);

  listener.on(channels.jobReady, () => {})();
  listener.start();
  expect(listener.state).toBe("closed");
});

async function nobodyThere(): Promise<string> {
  const server = createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `postgres://nobody@127.0.0.1:${port}/nothing`;
}
