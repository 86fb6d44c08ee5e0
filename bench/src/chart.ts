import type { ScenarioResult } from "./results.ts";
import { figure } from "./results.ts";

const width = 860;
const labelWidth = 150;
const barHeight = 16;
const rowHeight = 22;
const headHeight = 34;
const gap = 14;
const figureWidth = 110;

/** Grey texts and bars that stand out from white and from black; Hark's own bar is the one in colour. */
const style = `
  text { font: 12px ui-sans-serif, system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600; font-size: 13px }
  .bar { fill: #8c959f } .ours { fill: #0969da } .strong { font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .bar { fill: #6e7681 } .ours { fill: #58a6ff }
  }`;

/**
 * A bar chart of the first metric of each scenario, as SVG: a group of bars for each scenario, drawn from 0 and scaled to its
 * longest. Adapters without a figure have no bar.
 */
export function chartOf(results: readonly ScenarioResult[], caption: string): string {
  const parts: string[] = [];
  let y = 24;
  parts.push(text(0, y, caption));
  y += gap;
  for (const { title, metrics, adapters } of results) {
    const metric = metrics[0]!;
    const bars = adapters.flatMap(({ adapter, medians }) => {
      const value = medians[metric.key];
      return value === undefined || Number.isNaN(value) ? [] : [{ adapter, value }];
    });
    if (bars.length === 0) continue;
    const longest = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE);
    parts.push(text(0, y + headHeight - 14, `${title}: ${metric.label}, ${metric.unit}`, "title"));
    y += headHeight;
    for (const { adapter, value } of bars) {
      const isOurs = adapter === "hark";
      const length = Math.max(1, (Math.max(value, 0) / longest) * (width - labelWidth - figureWidth));
      parts.push(text(0, y + 12, adapter, isOurs ? "strong" : undefined));
      parts.push(
        `<rect class="${isOurs ? "ours" : "bar"}" x="${labelWidth}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}" rx="2"/>`,
      );
      parts.push(text(labelWidth + length + 6, y + 12, figure(value), isOurs ? "strong" : undefined));
      y += rowHeight;
    }
    y += gap;
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" role="img">`,
    `<title>${escaped(caption)}</title>`,
    `<style>${style}</style>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

function text(x: number, y: number, content: string, className?: string): string {
  const named = className === undefined ? "" : ` class="${className}"`;
  return `<text${named} x="${Number(x.toFixed(1))}" y="${y}">${escaped(content)}</text>`;
}

function escaped(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
