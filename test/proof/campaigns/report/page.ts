import type { CampaignResult } from "../campaign/campaign.ts";
import { escapeHtml } from "./escape-html.ts";
import { figuresOf } from "./figures.ts";
import { timelineOf } from "./timeline.ts";

/** How many breaches of one invariant are shown. */
const mostShown = 20;

const style = `
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 1160px; margin: 2rem auto; padding: 0 1rem; color: #1c1917; }
  table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #e7e5e4; vertical-align: top; }
  .kept { color: #15803d; } .broken { color: #b91c1c; font-weight: 600; } code { background: #f5f5f4; padding: .1rem .3rem; }
  svg { width: 100%; height: auto; font: 11px system-ui, sans-serif; fill: #44403c; }
  .rule { stroke: #e7e5e4; } .moment { stroke: #15803d; stroke-dasharray: 4 3; } .curve { fill: none; stroke: #0369a1; stroke-width: 1.2; }
  .probe { fill: #0369a1; opacity: .6; } .poison { fill: #1c1917; }`;

/**
 * The report of one campaign as an HTML page: verdicts, figures, and what happened when. `replay`
 * is the command that repeats it.
 */
export function pageOf(result: CampaignResult, replay: string): string {
  const { verdicts, history, postgres } = result;
  const figures = figuresOf(history);
  const broken = verdicts.filter(({ breaches }) => breaches.length > 0).length;
  const rows = verdicts.map(({ id, says, breaches, count }) => {
    const shown = breaches.slice(0, mostShown).map((breach) => `<br>${escapeHtml(breach)}`);
    const more = count > mostShown ? `<br>and ${count - mostShown} more` : "";
    const verdict = breaches.length === 0 ? `<td class="kept">kept</td>` : `<td class="broken">broken</td>`;
    return `<tr><td>${id}</td>${verdict}<td>${escapeHtml(says)}${shown.join("")}${more}</td></tr>`;
  });
  const counts = (title: string, numbers: Record<string, number>, unit = "") =>
    `<tr><th>${escapeHtml(title)}</th><td>${
      Object.entries(numbers)
        .toSorted(([, one], [, other]) => other - one)
        .map(([word, count]) => `${escapeHtml(word)} ${count}${unit}`)
        .join(", ") || "none"
    }</td></tr>`;
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Hark: fault campaign, seed ${result.options.seed}</title><style>${style}</style>
<h1>Fault campaign, seed ${result.options.seed}</h1>
<p>PostgreSQL ${escapeHtml(postgres)}. <span class="${broken ? "broken" : "kept"}">${broken ? `${broken} invariants broken` : "Every invariant kept"}.</span>
Again: <code>${escapeHtml(replay)}</code></p>
<h2>What happened</h2>
${timelineOf(history)}
<h2>Figures</h2>
<table>
<tr><th>Jobs</th><td>${figures.acknowledged} acknowledged, ${figures.unanswered} unanswered, ${figures.runs} runs, ${figures.grants} locks granted</td></tr>
${counts("Explained reruns", figures.explained)}
${counts("Faults", figures.faults)}
${counts("Worst wait of a due job, after", figures.worstWaitMs, " ms")}
<tr><th>Worst rescue</th><td>${figures.worstRescueMs} ms from a worker's end, its lease included</td></tr>
<tr><th>Wake-up in the quiet</th><td>p50 ${figures.quiet.p50Ms} ms, p99 ${figures.quiet.p99Ms} ms of ${figures.quiet.probes}</td></tr>
</table>
<h2>Verdicts</h2>
<table>${rows.join("\n")}</table>
</html>
`;
}
