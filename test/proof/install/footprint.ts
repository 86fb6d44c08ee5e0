import type { Project } from "./project.ts";

/** What loading a module costs over a bare Node: least of several processes, in ms and MB. */
export interface Footprint {
  readonly name: string;
  readonly ms: number;
  readonly mb: number;
}

const rounds = 7;

/** Measures in turns, so that a busy moment of the machine meets all of them. */
export async function footprintsOf(project: Project, modules: Record<string, string>): Promise<Footprint[]> {
  const programs = [["bare", ""] as const, ...Object.entries(modules)];
  const names = programs.map(([name]) => name);
  for (const [place, [, work]] of programs.entries()) await project.write(`footprint-${place}.mjs`, program(work));
  const measured = new Map<string, Footprint[]>(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round += 1)
    for (const [place, name] of names.entries()) {
      const figures = JSON.parse(await project.run(`node footprint-${place}.mjs`)) as Omit<Footprint, "name">;
      measured.get(name)!.push({ name, ...figures });
    }
  const least = (name: string, figure: "ms" | "mb") => Math.min(...measured.get(name)!.map((found) => found[figure]));
  return Object.keys(modules).map((name) => ({
    name,
    ms: least(name, "ms"),
    mb: least(name, "mb") - least("bare", "mb"),
  }));
}

const program = (work: string) => `
const startedAt = performance.now();
${work}
const ms = performance.now() - startedAt;
console.log(JSON.stringify({ ms, mb: process.memoryUsage().rss / 1e6 }));
process.exit();
`;

/** The figures as lines, with the ratio to one of them. */
export function inWords(footprints: readonly Footprint[], beside: string): string {
  const base = footprints.find(({ name }) => name === beside)!;
  return footprints
    .map(({ name, ms, mb }) => {
      const ratios = `${(ms / base.ms).toFixed(2)}x and ${(mb / base.mb).toFixed(2)}x of ${beside}`;
      return `${name.padEnd(24)} ${ms.toFixed(0).padStart(4)} ms ${mb.toFixed(1).padStart(6)} MB, ${ratios}\n`;
    })
    .join("");
}
