/**
 * How much later the first waiting worker looks, in ms. It is about the time of a wake-up, a claim
 * and its commit, so that the workers that claim at once are done by then. The last of 50 workers
 * waits seven times that, and the last of 256 nine times.
 */
const unitMs = 3;

/**
 * The workers that one notification wakes. No clock is involved. A worker that knows no others
 * comes first.
 */
export interface Herd {
  /** The worker's identity. */
  readonly me: string;
  /** Identities of the workers that may also have been woken, with or without `me`. */
  readonly peers: readonly string[];
  /** The same for all workers that hear one notification, and different for the next one. */
  readonly salt: string;
  /** How many workers the jobs need. That many come first. */
  readonly wanted: number;
}

/**
 * How long a sleeping worker lets others go first when jobs are announced to all, in ms; 0 if it is
 * to claim at once. Without that, 50 idle workers claim for one job (FM-13). Each ranks itself
 * among all by a hash of identity and salt (rendezvous hashing), so that all agree without
 * messages, and each notification has a different winner. Later ranks follow in waves that double,
 * because the more workers have had their turn, the less likely it is that jobs are left.
 */
export function staggerMs({ me, peers, salt, wanted }: Herd): number {
  const mine = scoreOf(me, salt);
  let rank = 0;
  for (const peer of peers) {
    if (peer === me) continue;
    const score = scoreOf(peer, salt);
    if (score > mine || (score === mine && peer > me)) rank += 1;
  }
  const behind = rank - wanted;
  return behind < 0 ? 0 : unitMs * (1 + Math.log2(behind + 1));
}

/**
 * FNV-1a over both, and MurmurHash3's last mix, without which neighbouring salts would rank alike.
 */
function scoreOf(worker: string, salt: string): number {
  let hash = 0x811c9dc5;
  for (const text of [worker, " ", salt]) {
    for (let place = 0; place < text.length; place += 1) hash = Math.imul(hash ^ text.charCodeAt(place), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
