import { Socket } from "node:net";
import { type Login, sessionConfig, withFreshPassword } from "@hark/core/internal";
import { Client, type ClientConfig, type Connection } from "pg";
import type createSubscriberOf from "pg-listen";
import type { Subscriber } from "pg-listen";
import * as pgListen from "./pg-listen-bundle.ts";

const createSubscriber = pgListen.createSubscriber as typeof createSubscriberOf.default;

export interface ListenSocketOptions extends Readonly<Login> {
  /** Sets nothing for the session, since an earlier one was refused. */
  readonly isPlain: boolean;
  readonly applicationName: string;
  /** The socket failed, before or after the connection was made. */
  readonly onError: (error: Error) => void;
  /** The socket is closed, by either side. */
  readonly onClose: () => void;
  /** The server ended the session, and said so. */
  readonly onEndedByServer: (error: Error) => void;
  readonly onNotification: (channel: string, payload: string | undefined, sender: number) => void;
}

/**
 * Runs pg-listen on a socket that Hark controls. pg-listen reconnects by itself and hides its
 * socket and its client (FM-01, FM-02, FM-14), so each connection gets a subscriber of its own that
 * never reconnects. Destroying the socket ends everything, TLS included. No wait here has a
 * deadline, and promises of pg may stay pending for ever after the socket is destroyed.
 */
export class ListenSocket {
  readonly #options: ListenSocketOptions;
  readonly #closed = Promise.withResolvers<void>();
  #subscriber: Subscriber | undefined;
  #socket: Socket | undefined;
  #connection: Connection | undefined;

  constructor(options: ListenSocketOptions) {
    this.#options = options;
  }

  /** Resolves once the socket is closed. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Connects, TLS and password included. Throws at once for an unreadable connection string. */
  async connect(): Promise<unknown> {
    const connectionString = await withFreshPassword(this.#options);
    return (this.#subscriber = this.#subscribe(connectionString)).connect();
  }

  listenTo(channel: string): Promise<unknown> | undefined {
    return this.#subscriber?.listenTo(channel);
  }

  unlistenAll(): Promise<unknown> | undefined {
    return this.#subscriber?.unlistenAll();
  }

  notify(channel: string, payload: string): Promise<unknown> | undefined {
    return this.#subscriber?.notify(channel, payload);
  }

  /**
   * Sends the protocol's Sync, which the server answers although it is no query and so no
   * transaction to it.
   */
  sync(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#connection?.once("readyForQuery", resolve);
    this.#connection?.sync();
    return promise;
  }

  /** Stops pg-listen from reconnecting, and closes the session properly. */
  leave(): void {
    try {
      this.#subscriber?.close().catch(() => {});
    } catch {
      // the socket is destroyed in any case
    }
  }

  /** Closes the connection at once: leave() alone waits for ever in a black hole. */
  destroy(): void {
    this.#socket?.destroy();
  }

  #subscribe(connectionString: string): Subscriber {
    const { isPlain, applicationName, onEndedByServer, onNotification } = this.#options;
    const session = sessionConfig({ connectionString }, { isPooled: isPlain });
    // pg-listen hides its client, and with it all but queries. A client that is never used makes
    // the connection for it.
    const { connection } = new Client({ ...session, keepAlive: true, stream: () => this.#plug() });
    this.#connection = connection;
    const config: ClientConfig & { connection: Connection } = {
      ...session,
      application_name: applicationName,
      connection,
    };
    const subscriber = createSubscriber(
      // An object, which pg-listen spreads; a string would be torn apart. It has no deadline: pg's
      // own would also cut off a connection whose answer waits for a busy event loop.
      config,
      // retryLimit is off by one: 1 means never. The default parse raises an error on plain text.
      { retryLimit: 1, paranoidChecking: false, parse: (raw) => raw, serialize: (raw: string) => raw },
    );
    // Without a listener for errors the process ends. pg-listen has lost the server's words by now.
    // It is the server that ended the session: a socket that merely closed would have told onClose
    // before.
    subscriber.events.on("error", onEndedByServer);
    subscriber.events.on("notification", ({ channel, payload, processId }) =>
      onNotification(channel, payload, processId),
    );
    return subscriber;
  }

  #plug(): Socket {
    if (this.#socket) throw new Error("one socket per session");
    const socket = (this.#socket = new Socket());
    // Runs before pg's own handlers, so that pg-listen is closed before it tries to reconnect.
    socket.on("error", this.#options.onError);
    socket.on("close", () => {
      this.#options.onClose();
      this.#closed.resolve();
    });
    return socket;
  }
}
