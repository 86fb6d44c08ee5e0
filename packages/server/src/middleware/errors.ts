import { randomUUID } from "node:crypto";
import { loggable, type Logger, storableText } from "@hark/core";
import { type Failure, failureOf } from "../failures.ts";

/** The body of every answer that is not a success. */
export function failureBody({ code, message, issues }: Omit<Failure, "status">, id?: string) {
  return {
    success: false as const,
    error: { code, message, ...(issues && { issues }), ...(id !== undefined && { id }) },
  };
}

/**
 * Makes any thrown value a JSON response; what is our fault is logged under an id that the caller
 * gets too.
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
