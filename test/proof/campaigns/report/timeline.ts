import { probesOf } from "../checker/liveness.ts";
import type { History } from "../checker/study.ts";
import { Study } from "../checker/study.ts";
import type { Entry, EntryOf, FaultKind } from "../ledger/entries.ts";
import { escapeHtml } from "./escape-html.ts";

const width = 1_120;
const left = 120;
const laneHeight = 16;
/** Height of the curve of throughput and of the probes, in px. */
const chartHeight = 110;
/** Width of one point of the curve, in ms. */
const stepMs = 500;

/** Colours by what a fault hits: the network, the process, the server. */
const colours: Record<"network" | "process" | "server", string> = {
  network: "#d97706",
  process: "#b91c1c",
  server: "#6d28d9",
};

function familyOf(kind: FaultKind): keyof typeof colours {
  if (kind === "kill" || kind === "stop" || kind === "terminate") return "process";
  if (["crash", "restart", "promote", "backends", "lock row", "disk full", "stall"].includes(kind)) return "server";
  return "network";
}

/**
 * An SVG of one campaign: a lane of faults per process, the jobs that ended per second, and how
 * long probes waited.
 */
export function timelineOf(history: History): string {
  const study = new Study(history);
  const entries = history.entries;
  const [beginAt, endAt] = [entries[0]?.at ?? 0, study.momentOf("over")];
  const x = (at: number) => left + ((at - beginAt) / (endAt - beginAt)) * (width - left - 10);

  const faults = study.of("fault");
  const lanes = [
    ...new Set(["server", ...study.of("spawned").map(({ name }) => name), ...faults.map((f) => f.target)]),
  ];
  const lanesHeight = lanes.length * laneHeight;
  const height = lanesHeight + 2 * (chartHeight + 40) + 20;

  const parts = [
    ...lanes.map((lane, place) =>
      laneOf(
        lane,
        place,
        faults.filter(({ target }) => target === lane),
        entries,
        x,
      ),
    ),
    ...(["calm", "quiet"] as const).map((moment) => {
      const at = x(study.momentOf(moment));
      return `<line x1="${at}" x2="${at}" y1="0" y2="${height - 20}" class="moment"/><text x="${at + 3}" y="${height - 24}">${moment}</text>`;
    }),
    throughputOf(study.of("ended"), beginAt, endAt, lanesHeight + 30, x),
    probesIn(study, lanesHeight + chartHeight + 70, x),
    ...secondsOf(beginAt, endAt, height, x),
  ];
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Faults, throughput and waits over time">${parts.join("\n")}</svg>`;
}

function laneOf(
  lane: string,
  place: number,
  faults: EntryOf<"fault">[],
  entries: readonly Entry[],
  x: (at: number) => number,
): string {
  const y = place * laneHeight;
  const bars = faults.map(({ kind, from, to, proof }) => {
    const title = escapeHtml(`${kind}, ${Math.round(to - from)} ms: ${proof}`);
    const size = `x="${round(x(from))}" y="${y + 2}" width="${round(Math.max(x(to) - x(from), 2))}" height="${laneHeight - 4}"`;
    return `<rect ${size} fill="${colours[familyOf(kind)]}"><title>${title}</title></rect>`;
  });
  const exits = entries.flatMap((entry) =>
    entry.event === "exited" && entry.name === lane && entry.by === "job"
      ? [
          `<circle cx="${round(x(entry.at))}" cy="${y + laneHeight / 2}" r="4" class="poison"><title>ended by its job</title></circle>`,
        ]
      : [],
  );
  return `<text x="0" y="${y + 12}">${escapeHtml(lane)}</text>
    <line x1="${left}" x2="${width - 10}" y1="${y + laneHeight}" y2="${y + laneHeight}" class="rule"/>${bars.join("")}${exits.join("")}`;
}

function throughputOf(
  ends: EntryOf<"ended">[],
  beginAt: number,
  endAt: number,
  top: number,
  x: (at: number) => number,
): string {
  const counts = Array.from({ length: Math.ceil((endAt - beginAt) / stepMs) + 1 }, () => 0);
  for (const { at } of ends) {
    const step = Math.floor((at - beginAt) / stepMs);
    if (counts[step] !== undefined) counts[step] += 1;
  }
  const most = Math.max(1, ...counts);
  const points = counts.map((count, step) => {
    const y = top + chartHeight - (count / most) * chartHeight;
    return `${round(x(beginAt + step * stepMs))},${round(y)}`;
  });
  return `<text x="0" y="${top + 12}">jobs ended a second</text><text x="0" y="${top + 28}">(${Math.round(most * (1_000 / stepMs))} at most)</text>
    <polyline points="${points.join(" ")}" class="curve"/>`;
}

/** A dot for each probe: when it was due, and how long it waited, on a logarithmic scale. */
function probesIn(study: Study, top: number, x: (at: number) => number): string {
  const y = (ms: number) => top + chartHeight - (Math.min(Math.log10(Math.max(ms, 1)), 4.3) / 4.3) * chartHeight;
  const scale = [1, 10, 100, 1_000, 10_000].map(
    (ms) =>
      `<line x1="${left}" x2="${width - 10}" y1="${round(y(ms))}" y2="${round(y(ms))}" class="rule"/><text x="${left - 60}" y="${round(y(ms)) + 4}">${ms} ms</text>`,
  );
  const dots = probesOf(study).map(({ dueAt, startedAt, worker }) => {
    const waited = startedAt - dueAt;
    return `<circle cx="${round(x(dueAt))}" cy="${round(y(waited))}" r="2" class="probe"><title>${escapeHtml(worker)} waited ${Math.round(waited)} ms</title></circle>`;
  });
  return `<text x="0" y="${top - 6}">how long a due job waited for its worker</text>${scale.join("")}${dots.join("")}`;
}

function secondsOf(beginAt: number, endAt: number, height: number, x: (at: number) => number): string[] {
  const everyMs = endAt - beginAt > 300_000 ? 60_000 : 10_000;
  const ticks = Array.from({ length: Math.floor((endAt - beginAt) / everyMs) + 1 }, (_, place) => place * everyMs);
  return ticks.map((ms) => `<text x="${round(x(beginAt + ms))}" y="${height - 6}">${ms / 1_000} s</text>`);
}

const round = (value: number) => Math.round(value * 10) / 10;
