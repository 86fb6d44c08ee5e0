import { readFileSync } from "node:fs";
import { readMigrations } from "@hark/core/internal";

/** Migrates an empty database to Hark's newest schema. Every test file gets a copy of it. */
export async function migrateTemplate(url: string): Promise<void> {
  for (const { name, statements } of await readMigrations()) {
    const text = readFileSync(new URL(`../../drizzle/${name}.sql`, import.meta.url), "utf8");
    if (statements.join("--> statement-breakpoint") !== text)
      throw new Error(`drizzle/${name}.sql has changed since the build. Run "pnpm run build".`);
  }
  const { migrate } = await import("@hark/core");
  await migrate({ connectionString: url });
}
