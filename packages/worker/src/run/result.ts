import { type JobDefinition, UnrecoverableError } from "@hark/core";
import { type Ending, jsonIssues, limits } from "@hark/core/internal";

type Checked = Extract<Ending, { kind: "completed" | "fatal" }>;

/**
 * Checks what a handler returned. A result that cannot be stored fails the attempt for good, with
 * the reason.
 */
export async function checkResult({ type, result: schema }: JobDefinition, result: unknown): Promise<Checked> {
  const refuse = (message: string): Checked => ({
    kind: "fatal",
    reason: "unrecoverable",
    error: new UnrecoverableError(`the result of ${type} ${message}`),
  });

  if (schema) {
    const checked = await schema["~standard"].validate(result);
    if (checked.issues) return refuse(`fails its schema: ${checked.issues.map(({ message }) => message).join("; ")}`);
  }
  if (result === undefined) return { kind: "completed", resultJson: null };
  const [issue] = jsonIssues(result);
  if (issue) return refuse(`is not JSON at ${issue.path.join(".") || "its top"}: ${issue.message}`);
  const resultJson = JSON.stringify(result);
  if (Buffer.byteLength(resultJson) > limits.resultBytes)
    return refuse(`has more than ${limits.resultBytes} bytes of JSON`);
  return { kind: "completed", resultJson };
}
