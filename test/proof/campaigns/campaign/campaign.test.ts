import { expect, test } from "vitest";
import { figuresOf, lineOf } from "../report/figures.ts";
import { pageOf } from "../report/page.ts";
import { runCampaign } from "./campaign.ts";

test(
  "a short campaign: processes are killed, stopped and cut off, and every invariant is kept",
  { timeout: 240_000 },
  async () => {
    const result = await runCampaign({ seed: 4, minutes: 0.2 });

    const figures = figuresOf(result.history);
    const broken = result.verdicts.filter(({ breaches }) => breaches.length > 0);
    expect(broken, `pnpm run proof campaigns --seed 4 --minutes 0.2; ${lineOf(figures)}`).toEqual([]);

    // Otherwise the campaign would prove nothing.
    expect(result.verdicts).toHaveLength(24);
    expect(figures.acknowledged).toBeGreaterThan(200);
    expect(figures.grants).toBeGreaterThan(20);
    expect(Object.keys(figures.faults).length).toBeGreaterThanOrEqual(5);
    expect(figures.explained).toMatchObject({ error: expect.any(Number), snoozed: expect.any(Number) });

    const page = pageOf(result, "pnpm run proof campaigns --seed 4 --minutes 0.2");
    expect(page).toContain("Every invariant kept");
    for (const { id } of result.verdicts) expect(page).toContain(`<td>${id}</td>`);
    expect(page).not.toMatch(/(src|href)=/); // it loads nothing
    expect(page).not.toMatch(/NaN|Infinity|undefined/);
  },
);
