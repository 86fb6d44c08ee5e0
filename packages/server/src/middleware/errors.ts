import { randomUUID } from "node:crypto";
import type { Logger } from "@hark/core";
import { loggable, storableText } from "@hark/core/internal";
import { type Failure, failureOf } from "../failures.ts";

/** Returns the body of a response that is not a success. */
export function failureBody({ code, message, issues }: Omit<Failure, "status">, id?: string) {
  return {
    success: false as const,
    error: { code, message, ...(issues && { issues }), ...(id !== undefined && { id }) },
  };
}

/**
 * Returns a JSON response for any thrown value. Logs the server's own faults under an id that the
 * caller also gets.
 */
export function answerFailure(error: unknown, request: { method: string; path: string }, logger: Logger): Response {
  const failure = failureOf(error);
  const id = failure.status >= 500 ? randomUUID() : undefined;
  if (id !== undefined) {
    const { code } = failure;
    logger.error(
      { requestId: id, method: request.method, path: storableText(request.path, 200), code, error: loggable(error) },
      "request failed",
    );
  }
  return Response.json(failureBody(failure, id), {
    status: failure.status,
    ...(failure.headers && { headers: failure.headers }),
  });
}
