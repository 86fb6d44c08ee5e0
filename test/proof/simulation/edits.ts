import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../../", import.meta.url));

/** A change of the worker's source; `from` stands there exactly once. */
export interface Edit {
  file: string;
  from: string;
  to: string;
}

/** Returns a file with the edit made. Throws if what it replaces does not stand there exactly once. */
export function edited(text: string, { file, from, to }: Edit): string {
  const places = text.split(from).length - 1;
  if (places !== 1) throw new Error(`${file} holds "${from.trim().slice(0, 60)}" ${places} times, and not once`);
  return text.replace(from, () => to);
}
