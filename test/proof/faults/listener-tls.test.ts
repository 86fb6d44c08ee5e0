import { channels } from "@hark/core/internal";
import { expect } from "vitest";
import { test } from "../../setup/fixtures.ts";
import { eventually } from "../../support/eventually.ts";
import { listening } from "../../support/listening.ts";
import { startProxy } from "../../support/proxy.ts";
import { startTlsFront } from "../../support/tls-front.ts";

// Over TLS the encrypted stream wraps the listener's socket. Destroying the socket must end both.
test(
  "over TLS a listener hears, and reconnects after its connection fell silent",
  { tags: ["FM-02"] },
  async ({ databaseUrl, pool }) => {
    await using front = await startTlsFront(databaseUrl);
    await using proxy = await startProxy(front.url);
    await using one = listening(proxy.url);
    await one.listener.whenListening(AbortSignal.timeout(10_000));
    expect(front.encrypted).toBeGreaterThan(0);

    one.forget();
    await proxy.set("hole");
    await proxy.set("ok");
    await eventually(() => one.heard.includes(undefined), {
      withinMs: 10_000,
      what: "a report that notifications may have been missed",
    });
    await pool.query("select pg_notify($1, 'mail')", [channels.jobReady]);
    await eventually(() => one.heard.includes("mail"), { withinMs: 2_000, what: "the notification" });

    await proxy.set("hole");
    await one.listener.close();
    await eventually(() => proxy.open === 0, { withinMs: 2_000, what: "the end of every socket" });
  },
);
