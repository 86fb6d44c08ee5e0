interface Emitter {
  on(event: any, listener: any): unknown;
  off(event: any, listener: any): unknown;
}

const ignore = () => {};
const guarded = new WeakSet<Emitter>();
const guardClient = (client: Emitter) => {
  if (guarded.has(client)) return;
  guarded.add(client);
  client.on("error", ignore);
};
const users = new WeakMap<Emitter, number>();

/**
 * Listens for errors of a pool and its clients. Without listeners, a server that closes idle
 * connections ends the process (FM-06); the pool drops such clients itself. However many parts use
 * a pool, it has one pair of listeners. Returns a function that ends the use.
 */
export function guardPool(pool: Emitter): () => void {
  const before = users.get(pool) ?? 0;
  users.set(pool, before + 1);
  if (before === 0) {
    pool.on("error", ignore);
    pool.on("connect", guardClient);
  }
  let isUsed = true;
  return () => {
    if (!isUsed) return;
    isUsed = false;
    const left = users.get(pool)! - 1;
    users.set(pool, left);
    if (left > 0) return;
    pool.off("error", ignore);
    pool.off("connect", guardClient);
  };
}
