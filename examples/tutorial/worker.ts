import { implement } from "pg-hark";
import { sendWelcome } from "./jobs.ts";

export const handlers = [
  implement(sendWelcome, async ({ payload, attempt, signal, log }) => {
    log.info({ attempt }, `sending a welcome in ${payload.locale}`);
    signal.throwIfAborted();
    if (payload.email.endsWith("@bounce.example")) throw new Error("there is no such mailbox");
    return { sentTo: payload.email };
  }),
];
