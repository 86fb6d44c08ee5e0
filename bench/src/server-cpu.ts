import { readdir, readFile } from "node:fs/promises";

/** A tick of /proc in us: the kernel's ABI fixes 100 ticks to a second. */
const tickMicros = 10_000;

/**
 * CPU time of a PostgreSQL server so far, in us: its postmaster, its processes, and those that have
 * ended. Undefined where there is no /proc.
 */
export async function serverCpuMicros(pid: number): Promise<number | undefined> {
  const own = await statOf(pid);
  if (!own) return undefined;
  let ticks = own.ticks + own.waitedTicks;
  for (const name of await readdir("/proc")) {
    const stat = /^\d+$/.test(name) ? await statOf(Number(name)) : undefined;
    if (stat?.parent === pid) ticks += stat.ticks;
  }
  return ticks * tickMicros;
}

/**
 * CPU time of one process so far, in us. Undefined once the process is gone, and where there is no
 * /proc.
 */
export async function processCpuMicros(pid: number): Promise<number | undefined> {
  const stat = await statOf(pid);
  return stat && stat.ticks * tickMicros;
}

async function statOf(pid: number): Promise<{ parent: number; ticks: number; waitedTicks: number } | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  // The name is in brackets and may contain any character. proc(5) numbers the fields after it from
  // 3.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const field = (number: number): number => Number(fields[number - 3]);
  return { parent: field(4), ticks: field(14) + field(15), waitedTicks: field(16) + field(17) };
}
