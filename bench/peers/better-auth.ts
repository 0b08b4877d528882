// Better Auth: one whole password login over HTTP, records in memory. Arguments: scrypt's N r p.
import { createServer, type RequestListener } from "node:http";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { toNodeHandler } from "better-auth/node";
import { answer, collectGarbage } from "../support/answering.ts";
import { installedVersion } from "./installed.ts";
import { listening } from "./listening.ts";
import { ACCOUNT, PasswordHash } from "./password.ts";
import { Tokens } from "./tokens.ts";

const passwords = PasswordHash.ofArguments(process.argv.slice(2));
const http = createServer();
const port = await listening(http);
const origin = `http://127.0.0.1:${port}`;

const auth = betterAuth({
  baseURL: origin,
  secret: new Tokens().key.export().toString(),
  database: memoryAdapter({ user: [], session: [], account: [], verification: [] }),
  emailAndPassword: {
    enabled: true,
    password: {
      hash: (password: string) => passwords.hash(password),
      verify: ({ hash, password }: { hash: string; password: string }) => passwords.verify(password, hash),
    },
  },
  // The default is three sign-ins in ten seconds, which cannot be measured.
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
});
await auth.api.signUpEmail({ body: { name: "Someone", ...ACCOUNT } });
http.on("request", toNodeHandler(auth) as RequestListener);

answer(
  { port, version: installedVersion("better-auth") },
  {
    settle: collectGarbage,
    login: () => ({
      path: "/api/auth/sign-in/email",
      headers: { "content-type": "application/json", origin },
      body: JSON.stringify(ACCOUNT),
    }),
  },
);
