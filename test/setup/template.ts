/** Migrates an empty database to Hark's newest schema. Every test file gets a copy of it. */
export async function migrateTemplate(url: string): Promise<void> {
  const { migrate } = await import("@hark/core");
  await migrate({ connectionString: url });
}
