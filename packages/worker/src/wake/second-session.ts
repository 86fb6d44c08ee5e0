import { Socket } from "node:net";
import { HarkError } from "@hark/core";
import { connectSession, type Login, withDeadline } from "@hark/core/internal";
import type { Client } from "pg";

/**
 * Ends the sessions of one own channel that are older than the session with the process number $1:
 * earlier sessions whose broken connection the server has not noticed. The random channel in their
 * last query shows that they are ours, so a reused process number does no harm. (This SQL stands
 * here because no other part of Hark deals with these sessions.)
 */
const endOlderSessions = `
  with ours as materialized (
    select pid, backend_start from pg_stat_activity where position($2 in query) > 0)
  select pg_terminate_backend(older.pid)
    from ours older join ours mine on mine.pid = $1 and older.backend_start < mine.backend_start`;

export interface SecondSessionOptions extends Readonly<Login> {
  readonly applicationName: string;
  readonly ownChannel: string;
  /** How long all of its answers together may take, in ms. */
  readonly answerMs: number;
  /** Aborted when the session that listens is over. */
  readonly over: AbortSignal;
}

/**
 * A short second session, which proves that notifications of other sessions arrive. Its methods
 * throw if an answer is late, and the reason of `over` once that is aborted.
 */
export class SecondSession {
  readonly #options: SecondSessionOptions;
  #socket = new Socket();
  #client: Client | undefined;
  readonly #dueAt: number;

  constructor(options: SecondSessionOptions) {
    this.#options = options;
    this.#dueAt = performance.now() + options.answerMs;
  }

  async connect(): Promise<void> {
    const { applicationName } = this.#options;
    const config = { application_name: applicationName, stream: () => (this.#socket = new Socket()) };
    await this.#inTime(
      connectSession(this.#options, config, (client) => {
        client.on("error", () => {}); // without a listener, a lost server would end the process (FM-06)
        this.#client = client;
      }),
    );
  }

  /**
   * Notifies the session that listens. The channel stands in the text, so that endOlderSessions
   * finds this session if it is left.
   */
  async notify(payload: string): Promise<void> {
    await this.#inTime(this.#client!.query(`select pg_notify('${this.#options.ownChannel}', $1)`, [payload]));
  }

  /** Ends the sessions of the own channel that are older than `backend`'s, and returns how many. */
  async endOlderThan(backend: number | undefined): Promise<number> {
    const ended = this.#client!.query(endOlderSessions, [backend, this.#options.ownChannel]);
    return (await this.#inTime(ended)).rows.length;
  }

  close(): void {
    this.#client?.end().catch(() => {}); // closes the session properly if it can, and the socket in any case
    this.#socket.destroy();
  }

  async #inTime<Answer>(work: Promise<Answer>): Promise<Answer> {
    const { answerMs, over } = this.#options;
    const answer = await withDeadline(work, this.#dueAt - performance.now(), over);
    if (answer !== "late") return answer;
    throw new HarkError("PROBE_LATE", { answerMs }, `A second session gave no answer within ${answerMs} ms.`);
  }
}
