import { EventEmitter } from "node:events";
import type { Database } from "@hark/core";
import { silentLogger } from "@hark/core";
import { statements } from "@hark/core/internal";
import { expect, test } from "vitest";
import { NotifyGate } from "./notify-gate.ts";

/** The gate's statements have no names on the wire. */
const nameOf = (text: string) =>
  [statements.openNotifyGate, statements.closeNotifyGate, statements.openWriters].find((each) => each.text === text)!
    .statementName;

/** A session of the gate. A test may hold its answers back, or let the next statement fail. */
class StubClient extends EventEmitter {
  asked: string[] = [];
  answers: Promise<void> = Promise.resolve();
  writers: string[] = [];
  failure: Error | undefined;
  isReleased = false;

  async query(query: string | { text: string; values: unknown[] }): Promise<{ rows: unknown[] }> {
    const name = typeof query === "string" ? query : nameOf(query.text);
    this.asked.push(typeof query === "string" ? name : `${name} ${String(query.values[0])}`);
    await this.answers;
    if (this.failure) throw this.failure;
    if (name === "open-notify-gate") return { rows: [{ writers: this.writers }] };
    if (name === "open-writers") return { rows: this.writers.map((virtualtransaction) => ({ virtualtransaction })) };
    return { rows: [{ was_open: true }] };
  }

  release(): void {
    this.isReleased = true;
  }
}

function gateOn(...clients: StubClient[]) {
  const left = [...clients];
  let losses = 0;
  const pool = { connect: () => Promise.resolve(left.shift()!) };
  const gate = new NotifyGate({
    connectionString: "postgres://nowhere",
    logger: silentLogger,
    onLost: () => (losses += 1),
    openDatabase: () => ({ pool, close: () => Promise.resolve() }) as unknown as Database,
  });
  return { gate, losses: () => losses };
}

/** Resolves once all promises that can continue have done so. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

test("a queue is open from the answer to open() until it is closed", async () => {
  const client = new StubClient();
  const { gate } = gateOn(client);
  const answers = Promise.withResolvers<void>();
  client.answers = answers.promise;
  client.writers = ["3/14"];
  const opening = gate.open("mail");
  await settled();
  expect(gate.isOpen("mail")).toBe(false);

  answers.resolve();
  expect(await opening).toEqual(["3/14"]);
  expect([gate.isOpen("mail"), gate.isOpen("other")]).toEqual([true, false]);

  gate.close("mail");
  expect(gate.isOpen("mail")).toBe(false);
  gate.close("mail"); // nothing to close
  await settled();
  expect(client.asked).toEqual(["open-notify-gate mail", "close-notify-gate mail"]);
  await gate.stop();
});

test("an open queue is not locked again, but its writers are listed again", async () => {
  const client = new StubClient();
  const { gate } = gateOn(client);
  await gate.open("mail");
  client.writers = ["5/1"];
  expect(await gate.open("mail")).toEqual(["5/1"]);
  expect(await gate.stillWriting([])).toEqual([]);
  expect(await gate.stillWriting(["5/1"])).toEqual(["5/1"]);
  expect(client.asked).toEqual(["open-notify-gate mail", "open-writers null", "open-writers 5/1"]);
  await gate.stop();
});

test("a queue that was closed before open() got its answer is not open afterwards", async () => {
  const client = new StubClient();
  const { gate } = gateOn(client);
  await gate.open("other");
  const opening = gate.open("mail");
  gate.close("mail");
  await opening;
  expect(gate.isOpen("mail")).toBe(false);
  await settled();
  expect(client.asked.slice(1)).toEqual(["open-notify-gate mail", "close-notify-gate mail"]);
  await gate.stop();
});

test("statements are sent one at a time, in the order of the calls, and neighbours of one kind share one", async () => {
  const client = new StubClient();
  const { gate } = gateOn(client);
  await gate.open("a");
  const answers = Promise.withResolvers<void>();
  client.answers = answers.promise;
  const calls = [gate.open("b"), gate.open("c"), gate.check()];
  await settled();
  expect(client.asked.slice(1)).toEqual(["open-notify-gate b,c"]);
  calls.push(gate.open("d"), gate.check(), gate.check());
  answers.resolve();
  await Promise.all(calls);
  expect(client.asked.slice(2)).toEqual(["select 1", "open-notify-gate d", "select 1"]);
  gate.close("a");
  gate.close("d");
  await settled();
  expect(client.asked.at(-1)).toBe("close-notify-gate a,d");
  await gate.stop();
});

test("a thousand queues that open at once, also while the session connects, take one statement", async () => {
  const client = new StubClient();
  const { gate } = gateOn(client);
  const queues = Array.from({ length: 1_000 }, (_, place) => `q${place}`);
  await Promise.all(queues.map((queue) => gate.open(queue)));
  expect(client.asked).toEqual([`open-notify-gate ${queues.join()}`]);
  expect(queues.every((queue) => gate.isOpen(queue))).toBe(true);
  await gate.stop();
});

test("waits for writers share their looks, and each ends when one of its own writers has", async () => {
  const client = new StubClient();
  const { gate } = gateOn(client);
  client.writers = ["1/1", "2/2"];
  const since = performance.now();
  const waits = [["1/1", "2/2"], ["2/2"], ["2/2", "3/3"]].map((writers) => gate.someEnded(writers, since));
  expect(await waits[2]!.left).toEqual(["2/2"]); // the third has ended
  const looks = client.asked.length;
  client.writers = ["1/1"];
  expect(await Promise.all([waits[0]!.left, waits[1]!.left])).toEqual([["1/1"], []]);
  expect(client.asked[0]).toBe("open-writers 1/1,2/2,3/3");
  expect(client.asked.slice(looks)).toContain("open-writers 1/1,2/2");
  await gate.stop();
});

test.each([
  ["a statement fails", (client: StubClient) => void (client.failure = new Error("no answer"))],
  ["the connection fails", (client: StubClient) => void client.emit("error", new Error("cut"))],
  ["the server ends it", (client: StubClient) => void client.emit("end")],
])("when %s the session is lost: every queue is closed, and the next opening connects again", async (_, lose) => {
  const [first, second] = [new StubClient(), new StubClient()];
  const { gate, losses } = gateOn(first, second);
  await gate.open("a");
  await gate.open("b");

  lose(first);
  await gate.check();

  expect([gate.isOpen("a"), gate.isOpen("b"), first.isReleased, losses()]).toEqual([false, false, true, 1]);
  await gate.open("a");
  expect([gate.isOpen("a"), gate.isOpen("b")]).toEqual([true, false]);
  expect(second.asked).toEqual(["open-notify-gate a"]);
  await gate.stop();
});

test("a statement that was waiting when the session was lost fails, and is not sent to the next session", async () => {
  const [first, second] = [new StubClient(), new StubClient()];
  const { gate } = gateOn(first, second);
  await gate.open("a");
  first.failure = new Error("no answer");
  const failing = [gate.open("b"), gate.check(), gate.open("c")];
  await expect(failing[0]).rejects.toThrow();
  await failing[1]; // a check does not throw
  await expect(failing[2]).rejects.toThrow();
  expect(first.asked).toEqual(["open-notify-gate a", "open-notify-gate b"]);
  expect(second.asked).toEqual([]);
  await gate.stop();
});

test("a stopped gate has no open queue, reports no loss, and does not open again", async () => {
  const client = new StubClient();
  const { gate, losses } = gateOn(client, new StubClient());
  await gate.open("mail");
  await gate.stop();
  client.emit("end");
  expect([gate.isOpen("mail"), client.isReleased, losses()]).toEqual([false, true, 0]);
  await expect(gate.open("mail")).rejects.toThrow(/gate/);
});
