// @module-tag SEC-49
import { errorText, limits, storedJson } from "@hark/core/internal";
import { expect, test } from "vitest";

/*
 * SEC-49: what handlers throw and return costs a bounded time and room. A handler may pass on what
 * a stranger sent it, such as a parsed answer, or an error with thousands of reasons.
 */

/** Values of a size: linear in it, or exponential in its logarithm. */
const shapes: [name: string, make: (size: number) => unknown][] = [
  ["numbers", (size) => Array.from({ length: size }, (_, place) => place)],
  ["names", (size) => Object.fromEntries(Array.from({ length: size }, (_, place) => [`name ${place}`, place]))],
  ["holes", (size) => Object.assign([], { length: size * 1_000 })],
  ["bytes", (size) => Buffer.alloc(size * 1_000)],
  ["levels", (size) => nested(size, (inner) => [inner])],
  ["shared parts", (size) => nested(Math.log2(size) * 3, (inner) => ({ a: inner, b: inner }))],
  ["objects that make more of themselves", () => endless()],
  ["errors in errors", (size) => nested(size, (inner) => new Error("x", { cause: inner }))],
  ["errors beside errors", (size) => new AggregateError(Array.from({ length: size }, () => new Error("x")))],
  ["shared errors", (size) => nested(Math.log2(size), (inner) => new AggregateError([inner, inner]))],
  ["a long message", (size) => new Error("x ".repeat(size))],
];

function nested(levels: number, wrap: (inner: unknown) => unknown): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level += 1) value = wrap(value);
  return value;
}

const endless = (): unknown => ({ toJSON: () => [endless(), endless()] });

/** CPU time of this thread, in ms: the least of three, since other processes share the caches. */
function cpuMs(work: () => unknown): number {
  const once = () => {
    const before = process.threadCpuUsage();
    work();
    const { user, system } = process.threadCpuUsage(before);
    return (user + system) / 1_000;
  };
  return Math.min(once(), once(), once());
}

test.for(shapes)("%s", ([, make]) => {
  const small = make(10_000);
  const large = make(40_000);
  const readers = [
    [(value: unknown) => errorText(value), limits.errorBytes],
    [(value: unknown) => storedJson(value, limits.resultBytes).text ?? "", limits.resultBytes],
  ] as const;
  for (const [read, mostBytes] of readers) {
    expect(Buffer.byteLength(read(large))).toBeLessThanOrEqual(mostBytes);
    // Four times the size takes five times as long at most; the rest is what a clock cannot tell.
    expect(cpuMs(() => read(large))).toBeLessThan(5 * cpuMs(() => read(small)) + 10);
  }
});
