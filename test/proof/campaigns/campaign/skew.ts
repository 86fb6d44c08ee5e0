import { existsSync } from "node:fs";

/** Where Debian's package `libfaketime` installs it. */
const libraries = ["x86_64-linux-gnu", "aarch64-linux-gnu"].map(
  (machine) => `/usr/lib/${machine}/faketime/libfaketime.so.1`,
);

/** Whether clocks can be faked here, that is, whether libfaketime is installed. */
export const canSkew = (): boolean => libraries.some((path) => existsSync(path));

/**
 * The environment of a process whose wall clock is `seconds` ahead, or behind if negative. Its
 * monotonic clock is right.
 */
export function skewed(seconds: number): NodeJS.ProcessEnv {
  return {
    LD_PRELOAD: libraries.find((path) => existsSync(path)),
    FAKETIME: `${seconds < 0 ? "" : "+"}${seconds}`,
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
    DONT_FAKE_MONOTONIC: "1",
  };
}
