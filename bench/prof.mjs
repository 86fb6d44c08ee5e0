import { migrate, openDatabase } from "@hark/core";
import { startPostgres } from "./dist/stores.js";
import { adapterNamed } from "./dist/adapters/index.js";
import { serverCpuMicros } from "./dist/server-cpu.js";
import { Session } from "node:inspector/promises";
import { writeFileSync } from "node:fs";
import { fork } from "node:child_process";
if (process.argv[2] === "worker") {
  const [, , , url, jobs, out, name] = process.argv; let n = 0;
  const adapter = adapterNamed(name);
  const session = new Session(); session.connect();
  if (out) { await session.post("Profiler.enable"); await session.post("Profiler.setSamplingInterval", { interval: 200 }); await session.post("Profiler.start"); }
  const c0 = process.cpuUsage(); const t0 = performance.now(); let t10, c10;
  adapter.startWorker(url, async () => { n++; if (n === 50000) { t10 = performance.now(); c10 = process.cpuUsage(); } if (n === Number(jobs)) { const c = process.cpuUsage(); const t = performance.now();
    console.log("start", Math.round(t10 - t0), "ms to 50k; then", Math.round((n - 50000) / (t - t10) * 1000), "/s cpu", ((c.user + c.system - c10.user - c10.system) / (n - 50000)).toFixed(1), "us");
    if (out) { const { profile } = await session.post("Profiler.stop"); writeFileSync(out, JSON.stringify(profile)); } setTimeout(() => process.exit(), 300); } });
} else {
  const jobs = Number(process.argv[2] ?? 200000), out = process.argv[3] === "-" ? undefined : process.argv[3], name = process.argv[4] ?? "hark", rounds = Number(process.argv[5] ?? 1);
  await using pg = await startPostgres();
  for (let i = 0; i < rounds; i++) for (const nm of name.split(",")) {
    const adapter = adapterNamed(nm);
    const url = await pg.fresh(); await adapter.prepare(url);
    const db = openDatabase({ connectionString: url, deadlineMs: 60000 });
    const prod = await adapter.openProducer(url);
    for (let k = 0; k < jobs; k += 1000) await prod.enqueueMany(Array.from({ length: 1000 }, (_, j) => ({ n: k + j })));
    await db.query({ text: "analyze", values: [] }); await pg.admin("checkpoint");
    const s0 = await serverCpuMicros(pg.pid);
    const child = fork(process.argv[1], ["worker", url, String(jobs), out ?? "", nm]);
    await new Promise((r) => child.on("exit", r));
    const { rows: a } = await db.query({ text: "select count(*)::int n from hark.attempts", values: [] }).catch(() => ({ rows: [{}] })); console.log(nm, "ledger", a[0].n, "server us/job", ((await serverCpuMicros(pg.pid) - s0) / jobs).toFixed(1));
    await prod.close(); await db.close();
  }
}
