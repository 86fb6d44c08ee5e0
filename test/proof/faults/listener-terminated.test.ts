import { silentLogger } from "@hark/core";
import { channels } from "@hark/core/internal";
import { Listener } from "@hark/worker/internal";
import { expect } from "vitest";
import { test } from "../../setup/fixtures.ts";
import { eventually } from "../../support/eventually.ts";

const rounds = 20;
const applicationName = "often ended";

// An unhandled error, such as pg raises when a session is ended, fails the run (FM-06).
test(
  "a listener whose session is ended comes back every time, and reports that notifications may have been missed",
  { tags: ["FM-06"] },
  async ({ databaseUrl, pool }) => {
    await using listener = new Listener({ connectionString: databaseUrl, applicationName, logger: silentLogger });
    const heard: (string | undefined)[] = [];
    listener.on(channels.jobReady, (queue) => heard.push(queue));
    listener.start();
    await listener.whenListening();

    for (let round = 1; round <= rounds; round += 1) {
      heard.length = 0;
      expect(await endSessions()).toBe(1);
      await eventually(() => listener.state === "connecting", { withinMs: 2_000, what: "the loss", everyMs: 1 });
      expect(listener.reason).toMatch(/the server ended the session/);
      await eventually(() => heard.includes(undefined), {
        withinMs: 5_000,
        what: "a report that notifications may have been missed",
        everyMs: 1,
      });

      await listener.whenListening();
      await pool.query("select pg_notify($1, $2)", [channels.jobReady, `round.${round}`]);
      await eventually(() => heard.includes(`round.${round}`), { withinMs: 2_000, what: "the notification" });
    }

    expect(listener.counts).toMatchObject({ connects: rounds + 1, failures: rounds, thrown: 0, leftovers: 0 });

    /** Ends the listener's sessions. Returns how many it had. */
    async function endSessions(): Promise<number> {
      const { rows } = await pool.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1",
        [applicationName],
      );
      return rows.length;
    }
  },
);

test("only what the senders write is passed on, and a callback that throws does no harm", async ({
  databaseUrl,
  pool,
}) => {
  await using listener = new Listener({ connectionString: databaseUrl, logger: silentLogger });
  const heard: (string | undefined)[] = [];
  listener.on(channels.jobReady, () => {
    throw new Error("on purpose");
  });
  listener.on(channels.jobReady, (queue) => heard.push(queue));
  const stop = listener.on(channels.jobReady, () => heard.push("stopped"));
  listener.on(channels.jobCancelled, (id) => heard.push(id));
  stop();
  listener.start();
  await listener.whenListening(AbortSignal.timeout(10_000));
  expect(heard).toEqual([undefined, undefined]);

  for (const forged of ["", "No Queue", "{}", "x".repeat(64), "\u{1f4a9}"]) {
    await pool.query("select pg_notify($1, $2)", [channels.jobReady, forged]);
    await pool.query("select pg_notify($1, $2)", [channels.jobCancelled, `${forged}0x`]);
  }
  await pool.query("select pg_notify($1, '12')", [channels.jobCancelled]);
  await pool.query("select pg_notify($1, 'mail')", [channels.jobReady]);

  await eventually(() => heard.includes("mail"), { withinMs: 1_000, what: "the notification" });
  expect(heard.slice(2)).toEqual(["12", "mail"]);
  expect(listener.counts).toMatchObject({ heard: 2, ignored: 10, thrown: 2, connects: 1, failures: 0 });
  expect(listener.state).toBe("listening");
});
