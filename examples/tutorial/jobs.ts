import { defineJob } from "pg-hark";
import { z } from "zod";

export const sendWelcome = defineJob("email.welcome", {
  payload: z.object({ email: z.email(), locale: z.string().default("en") }),
  retry: { attempts: 3, backoff: { base: "200ms" } },
  timeout: "30s",
  key: ({ email }) => email,
});
