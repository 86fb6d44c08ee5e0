import { silentLogger } from "@hark/core";
import { channels } from "@hark/core/internal";
import { Listener, type ListenerOptions } from "@hark/worker/internal";

export interface Listening extends AsyncDisposable {
  readonly listener: Listener;
  /**
   * What came on the channel job_ready: queues, and undefined for "notifications may have been
   * missed".
   */
  readonly heard: (string | undefined)[];
  /** When each of them first came, by performance.now(). */
  readonly heardAt: Map<string | undefined, number>;
  /** Forgets all earlier notifications. */
  forget(): void;
}

/** Starts a listener, without waiting until it listens. */
export function listening(connectionString: string, options: Partial<ListenerOptions> = {}): Listening {
  const listener = new Listener({ connectionString, logger: silentLogger, ...options });
  const heard: (string | undefined)[] = [];
  const heardAt = new Map<string | undefined, number>();
  listener.on(channels.jobReady, (queue) => {
    heard.push(queue);
    if (!heardAt.has(queue)) heardAt.set(queue, performance.now());
  });
  listener.start();
  return {
    listener,
    heard,
    heardAt,
    forget() {
      heard.length = 0;
      heardAt.clear();
    },
    [Symbol.asyncDispose]: () => listener.close(),
  };
}

/**
 * How long a listener that recovers from nothing takes to connect on this machine now, in ms.
 * Bounds on recovery are this plus the allowed time, so that they hold on a busy machine and still
 * measure Hark's own waiting.
 */
export async function timeToListen(connectionString: string): Promise<number> {
  const startedAt = performance.now();
  await using fresh = listening(connectionString);
  await fresh.listener.whenListening();
  return performance.now() - startedAt;
}
