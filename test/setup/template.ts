/** Brings an empty database to Hark's newest schema: the template that every test file gets a copy of. */
export async function migrateTemplate(url: string): Promise<void> {
  const { migrate } = await import("@hark/core");
  await migrate({ connectionString: url });
}
