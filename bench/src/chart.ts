import { briefly } from "./conditions.ts";
import type { KeptResult } from "./kept-result.ts";
import { failed, figure } from "./results.ts";

const width = 860;
const labelWidth = 150;
const barHeight = 16;
const rowHeight = 22;
const headHeight = 34;
const gap = 14;
const smallHeight = 8;
const figureWidth = 110;
/** How many characters fit in the place of a bar. */
const longestWords = 100;

/** Grey text and bars that are visible on white and on black. Only Hark's own bar is coloured. */
const style = `
  text { font: 12px ui-sans-serif, system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600; font-size: 13px } .small { font-size: 10px; opacity: 0.7 }
  .bar { fill: #8c959f } .ours { fill: #0969da } .strong { font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .bar { fill: #6e7681 } .ours { fill: #58a6ff }
  }`;

/** An adapter's figure, or why it has none. */
interface Bar {
  readonly adapter: string;
  readonly value?: number;
  readonly failure?: string;
}

/**
 * Draws a bar chart of the first metric of each scenario, as SVG. Each scenario is a group of bars,
 * drawn from 0 and scaled to its longest bar. The group's title says when and how it was measured.
 * An adapter that failed has its reason in the place of its bar.
 */
export function chartOf(results: readonly KeptResult[]): string {
  const machines = [
    ...new Set(results.map(({ conditions: { machine, stores } }) => `${machine}, ${versions(stores)}`)),
  ];
  const caption = machines.join("; ");
  const parts: string[] = [];
  let y = 24;
  parts.push(text(0, y, caption));
  y += gap;
  for (const { title, metrics, adapters, conditions } of results) {
    const metric = metrics[0]!;
    const bars = adapters.flatMap(({ adapter, medians, failure }): Bar[] => {
      if (failure !== undefined) return [{ adapter, failure }];
      const value = medians[metric.key];
      return value === undefined ? [] : [{ adapter, value }];
    });
    const values = bars.flatMap(({ value }) => (value === undefined ? [] : [value]));
    if (values.length === 0) continue;
    const longest = Math.max(...values, Number.MIN_VALUE);
    const unit = metric.unit ? `, ${metric.unit}` : "";
    const better = metric.isLessBetter ? " (less is better)" : "";
    parts.push(text(0, y + headHeight - 14, `${title}: ${metric.label}${unit}${better}`, "title"));
    y += headHeight;
    parts.push(text(0, y, briefly(conditions), "small"));
    y += smallHeight;
    for (const { adapter, value, failure } of bars) {
      const isOurs = adapter === "hark";
      const className = isOurs ? "strong" : undefined;
      parts.push(text(0, y + 12, adapter, className));
      if (value === undefined) {
        parts.push(text(labelWidth, y + 12, failed(failure ?? "").slice(0, longestWords), className));
      } else {
        const length = Math.max(1, (Math.max(value, 0) / longest) * (width - labelWidth - figureWidth));
        parts.push(
          `<rect class="${isOurs ? "ours" : "bar"}" x="${labelWidth}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}" rx="2"/>`,
        );
        parts.push(text(labelWidth + length + 6, y + 12, figure(value), className));
      }
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

/** Server versions without their settings: `PostgreSQL 18.4, Redis 7.0.15`. */
function versions(stores: readonly string[]): string {
  return stores.map((store) => store.split(" (", 1)[0]).join(", ");
}

function text(x: number, y: number, content: string, className?: string): string {
  const named = className === undefined ? "" : ` class="${className}"`;
  return `<text${named} x="${Number(x.toFixed(1))}" y="${y}">${escaped(content)}</text>`;
}

function escaped(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
