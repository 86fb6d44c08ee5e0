import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** What the clients of a server may hold between them (SEC-41). docs/how-to/deploy.md has them. */
export const bounds = {
  /** Open sockets. A new one takes the place of one that waits for nothing. */
  sockets: 1_000,
  /**
   * Bytes of requests that are being answered, and of answers that are not read yet, in all. The
   * largest list of dead letters has 5 MB.
   */
  bytes: 67_108_864,
  /** How long an answer may take to be read whole, in ms: 5 MB at 250 KB a second. */
  answerMs: 20_000,
  /** Requests of one socket without an answer: clients that pipeline at all send fewer. */
  unanswered: 32,
  /**
   * How often bytes and answers are looked at, in ms: what is above the bound is so for no longer.
   */
  sweepMs: 250,
};

/** What is known of the other end of a socket. */
export interface Peer {
  readonly address: string;
  /** Those that are not sent whole. */
  readonly responses: Set<ServerResponse>;
  /** Bytes that were read of the socket when its last answer was sent. */
  readBefore: number;
  /** When it was first seen to hold more than its share of the bytes. */
  holdsSince?: number | undefined;
  /** When an answer was first seen to be complete and not sent. */
  answeredAt?: number | undefined;
}

/** Bytes in memory for a socket: of its requests, and of answers that it has not read. */
export function heldBytes(socket: Socket, { responses, readBefore }: Peer): number {
  let bytes = socket.bytesRead - readBefore;
  for (const response of responses) bytes += response.writableLength;
  return responses.size === 0 ? bytes + socket.writableLength : bytes;
}

/**
 * Returns the socket that has to make room for a new one: of the address with the most sockets, the
 * one that has been quiet the longest; if each waits for an answer, the oldest.
 */
export function victimOf(peers: ReadonlyMap<Socket, Peer>): Socket | undefined {
  const byAddress = new Map<string, number>();
  for (const { address } of peers.values()) byAddress.set(address, (byAddress.get(address) ?? 0) + 1);
  const [heaviest] = [...byAddress].reduce((most, one) => (one[1] > most[1] ? one : most));
  const its = [...peers].filter(([, { address }]) => address === heaviest);
  return (its.find(([, { responses }]) => !awaitsAnswer(responses)) ?? its[0])?.[0];
}

/**
 * Whether a whole request is being worked on. One that is half sent or not read waits for nothing.
 */
function awaitsAnswer(responses: ReadonlySet<ServerResponse>): boolean {
  for (const response of responses) if (response.req.complete && !response.writableEnded) return true;
  return false;
}
