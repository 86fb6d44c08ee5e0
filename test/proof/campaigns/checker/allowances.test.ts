import { expect, test } from "vitest";
import { broken, Story, token } from "./story.ts";

/* Each allowance of the checker excuses what it should, and nothing more. */

test("a disturbed worker excuses a late probe and a lost lease", () => {
  const story = new Story();
  story.say(14_000, 0, { event: "fault", kind: "stop", target: "worker-2", from: 14_000, to: 18_000, proof: "" });
  story.probe("110", 14_100, 18_900, "worker-2");
  story.final.workers[1]!.deadAt = 17_100;
  story.final.workers[1]!.expiresAt = 17_000;
  expect(broken(story)).toEqual([]);
});

test("one probe of a hundred may be late, by the longest rest of a loop at most", () => {
  const verdict = (probes: number, lateMs: number, late = 1) => {
    const story = new Story();
    for (let probe = 0; probe < probes; probe += 1) {
      const dueAt = 10_000 + probe * 20;
      story.probe(`${200 + probe}`, dueAt, dueAt + (probe < late ? lateMs : 10), "worker-2");
    }
    return broken(story).map(({ id }) => id);
  };
  expect(verdict(150, 900)).toEqual([]);
  expect(verdict(150, 5_600)).toEqual(["L3"]);
  expect(verdict(150, 900, 2)).toEqual(["L3"]);
  expect(verdict(50, 900)).toEqual(["L3"]);
});

test("three times the machine's time for a session is added to what a worker may take, and no more", () => {
  const late = (paceMs: number) => {
    const story = new Story();
    story.say(14_000, 0, { event: "paced", ms: paceMs });
    story.probe("110", 14_000, 14_900, "worker-2");
    return broken(story).map(({ id }) => id);
  };
  expect(late(140)).toEqual([]);
  expect(late(100)).toEqual(["L3"]);
});

test("a worker that runs a suspect alone starts nothing else, even if it has stopped since and left no registration", () => {
  const waits = (crashes: number) => {
    const story = new Story();
    story.wish("50", 3_000, { does: "sleep", ms: 2_000 });
    for (let attempt = 1; attempt <= crashes; attempt += 1)
      story.attempt("50", attempt, "crashed", 3_000 + attempt * 10, 3_005 + attempt * 10, 1);
    story.started("50", 3, 14_000, 2);
    story.ended("50", 3, 16_000, 2, "returned");
    story.attempt("50", 3, "completed", 13_990, 16_010, 2);
    story.rowOf("50", "completed").worker = "gone";
    story.job("50", "completed", { attempt: 3, crashCount: crashes, startedAt: 13_990, finishedAt: 16_010 });
    story.probe("110", 14_050, 16_050, "worker-2");
    return broken(story).map(({ id }) => id);
  };
  expect(waits(2)).not.toContain("L3");
  expect(waits(1)).toContain("L3");
});

test("a handler that returns after its abort may have been given up, one that returned before may not", () => {
  const verdict = (toldAt: number) => {
    const story = new Story();
    story.say(toldAt, 2, { event: "aborted", id: "5", token: token("5", 1), reason: "LEASE_LOST" });
    story.rowOf("5", "error").ending = "interrupted";
    story.entries.find((entry) => entry.event === "ended" && entry.id === "5")!.at = 9_020;
    Object.assign(
      story.entries.find((entry) => entry.event === "ended" && entry.id === "5")!,
      { how: "returned" },
    );
    return broken(story).map(({ id }) => id);
  };
  expect(verdict(9_015)).not.toContain("S7");
  expect(verdict(9_025)).toContain("S7");
});

test("a worker that was cut off when its lease ran out may be declared dead much later, if no worker could before", () => {
  const story = new Story();
  story.say(13_500, 0, { event: "fault", kind: "hole", target: "worker-2", from: 13_500, to: 14_000, proof: "" });
  Object.assign(story.final.workers[1]!, { expiresAt: 16_000, deadAt: 23_000 });
  expect(broken(story)).toEqual([]);
});

test("a job that waits while others fill all slots is not late, one that waits without a reason is", () => {
  const finished = (neighbours: number) => {
    const story = new Story();
    story.entries.find(({ event }) => event === "quiet")!.at = 31_200;
    story.entries.find(({ event }) => event === "over")!.at = 32_000;
    const run = (id: string, from: number, to: number) => {
      story.wish(id, 19_900, { does: "ignore" });
      story.started(id, 1, from, 2);
      story.ended(id, 1, to - 10, 2, "returned");
      story.job(id, "completed", { attempt: 1, startedAt: from - 10, finishedAt: to, token: token(id, 1) });
      story.final.stats.completed += 1;
    };
    run("30", 31_000, 31_110);
    for (let one = 0; one < neighbours; one += 1) run(String(40 + one), 20_100, 29_000);
    return broken(story).map(({ id }) => id);
  };
  expect(finished(0)).toEqual(["L1"]);
  expect(finished(4)).toEqual([]); // four times 8.9 s over sixteen slots
});

test("a retry may wait longer while others of its process fill the time before it, and no longer", () => {
  const waited = (others: number, ms: number) => {
    const story = new Story();
    for (let one = 0; one < others; one += 1) story.ended(String(60 + one), 1, 9_010, 2, "threw");
    const failure = story.rowOf("5", "error");
    failure.retryAt = failure.finishedAt + ms;
    story.rowOf("5", "completed").startedAt = failure.retryAt + 20;
    return broken(story).some(({ id }) => id === "S10");
  };
  expect(waited(4, 230)).toBe(true);
  expect(waited(5, 230)).toBe(false);
  expect(waited(5, 730)).toBe(true);
  expect(waited(10, 730)).toBe(false);
});

test("a process that stood still between claim and start may begin while another job of its key runs", () => {
  const story = new Story();
  story.wish("21", 4_000, { does: "ignore", key: "page" });
  story.say(4_500, 0, { event: "fault", kind: "stop", target: "worker-2", from: 4_500, to: 8_150, proof: "" });
  story.worker(2, { id: "w2old", deadAt: 8_000, expiresAt: 7_900 });
  story.attempt("21", 1, "crashed", 4_490, 8_010, 2);
  story.rowOf("21", "crashed").worker = "w2old";
  story.started("21", 2, 8_100, 3);
  story.started("21", 1, 8_160, 2);
  story.say(8_170, 2, { event: "aborted", id: "21", token: token("21", 1), reason: "LEASE_LOST" });
  story.ended("21", 1, 8_180, 2, "threw");
  story.ended("21", 2, 8_700, 3, "returned");
  story.attempt("21", 2, "completed", 8_090, 8_710, 3);
  const completed = { attempt: 2, crashCount: 1, startedAt: 8_090, finishedAt: 8_710, token: token("21", 2) };
  story.job("21", "completed", completed);
  story.final.stats.completed += 1;
  expect(broken(story)).toEqual([]);
});

test("jobs of a worker that stopped are rescued when its registration is gone", () => {
  const story = new Story();
  story.final.workers.splice(0, 1);
  story.entries.find((entry) => entry.event === "exited")!.at = 7_900;
  Object.assign(
    story.entries.find((entry) => entry.event === "exited")!,
    { by: "SIGTERM", code: 0 },
  );
  expect(broken(story).map(({ id }) => id)).not.toContain("S7");
});

test("a process that cannot start in an outage may end, and one that is cut off may be slow to stop", () => {
  const story = new Story();
  story.say(7_000, 0, { event: "fault", kind: "refuse", target: "worker-2", from: 7_000, to: 9_000, proof: "" });
  story.say(7_100, 4, { event: "exited", name: "worker-2", code: 1, by: undefined });
  story.say(8_000, 2, { event: "exited", name: "worker-2", code: "SIGKILL", by: "SIGTERM" });
  expect(broken(story).map(({ id }) => id)).not.toContain("P1");
});

test("two runs of one key may overlap once the first has lost its claim", () => {
  const story = new Story();
  story.wish("20", 4_000, { does: "ignore", key: "page" });
  story.say(4_600, 0, { event: "fault", kind: "stop", target: "worker-2", from: 4_600, to: 8_500, proof: "" });
  story.worker(2, { id: "w2old", deadAt: 8_000, expiresAt: 7_900 });
  story.started("20", 1, 4_500, 2);
  story.attempt("20", 1, "crashed", 4_490, 8_010, 2);
  story.rowOf("20", "crashed").worker = "w2old";
  story.started("20", 2, 8_100, 3);
  story.say(8_550, 2, { event: "aborted", id: "20", token: token("20", 1), reason: "LEASE_LOST" });
  story.ended("20", 1, 8_600, 2, "returned");
  story.ended("20", 2, 8_700, 3, "returned");
  story.attempt("20", 2, "completed", 8_090, 8_710, 3);
  story.job("20", "completed", {
    attempt: 2,
    crashCount: 1,
    startedAt: 8_090,
    finishedAt: 8_710,
    token: token("20", 2),
  });
  story.final.stats.completed += 1;
  expect(broken(story)).toEqual([]);
});
