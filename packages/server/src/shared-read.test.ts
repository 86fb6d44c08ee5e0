import { expect, test } from "vitest";
import { SharedRead } from "./shared-read.ts";

test("callers share a read that starts after they asked, and a read that fails ends nothing", async () => {
  const reads: PromiseWithResolvers<number>[] = [];
  const shared = new SharedRead(() => {
    const read = Promise.withResolvers<number>();
    reads.push(read);
    return read.promise;
  });
  const first = shared.ask();
  const others = [shared.ask(), shared.ask(), shared.ask()];
  expect(reads).toHaveLength(1);
  reads[0]!.resolve(1);
  expect(await first).toBe(1);
  await expect.poll(() => reads.length).toBe(2);
  reads[1]!.reject(new Error("gone"));
  expect((await Promise.allSettled(others)).map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
  const again = shared.ask();
  await expect.poll(() => reads.length).toBe(3);
  reads[2]!.resolve(3);
  expect(await again).toBe(3);
});
