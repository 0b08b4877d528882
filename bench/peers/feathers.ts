// Feathers: its JWT and local strategies over Socket.IO and REST, users in memory. Arguments: scrypt's N r p.
import { once } from "node:events";
import { AuthenticationService, JWTStrategy } from "@feathersjs/authentication";
import { LocalStrategy } from "@feathersjs/authentication-local";
import { NotAuthenticated } from "@feathersjs/errors";
import { feathers } from "@feathersjs/feathers";
import { bodyParser, errorHandler, koa, parseAuthentication, rest } from "@feathersjs/koa";
import { memory } from "@feathersjs/memory";
import socketio from "@feathersjs/socketio";
import { answer } from "../support/answering.ts";
import { type Mint, padding } from "../support/minting.ts";
import { installedVersion } from "./installed.ts";
import { ACCOUNT, PasswordHash } from "./password.ts";
import { Tokens } from "./tokens.ts";

const passwords = PasswordHash.ofArguments(process.argv.slice(2));

interface User {
  readonly id: number;
  readonly email: string;
  readonly password?: string;
}

/** bcryptjs by default. Overriding these two methods is the documented way to another hash. */
class ScryptStrategy extends LocalStrategy {
  async comparePassword(user: User, password: string): Promise<User> {
    if (await passwords.verify(password, user.password ?? "")) return user;
    throw new NotAuthenticated("Invalid login");
  }

  hashPassword(password: string): Promise<string> {
    return passwords.hash(password);
  }
}

function withoutHash(context: { params: { provider?: string }; result: User }): void {
  if (context.params.provider === undefined) return;
  const { password: _, ...seen } = context.result;
  context.result = seen;
}

const tokens = new Tokens();
const app = koa(feathers());
app.set("authentication", {
  secret: tokens.key.export().toString(),
  entity: "user",
  service: "users",
  authStrategies: ["jwt", "local"],
  jwtOptions: { algorithm: "HS256", audience: "http://127.0.0.1", issuer: "feathers", expiresIn: "1h" },
  local: { usernameField: "email", passwordField: "password" },
});
app.use(errorHandler());
app.use(parseAuthentication());
app.use(bodyParser());
app.configure(rest());
app.configure(socketio({ transports: ["websocket"], serveClient: false, perMessageDeflate: false }));
app.use("users", memory());

const authentication = new AuthenticationService(app);
// The configuration accepts strings only; both methods take another secret as their last argument.
const { createAccessToken, verifyAccessToken } = AuthenticationService.prototype;
authentication.createAccessToken = (payload: object, options?: object): Promise<string> =>
  createAccessToken.call(authentication, payload, options, tokens.key);
authentication.verifyAccessToken = (token: string, options?: object): Promise<object> =>
  verifyAccessToken.call(authentication, token, options, tokens.key);
authentication.register("jwt", new JWTStrategy());
authentication.register("local", new ScryptStrategy());
app.use("authentication", authentication);
// The answer to a login contains the user, so the hash is removed.
app.service("users").hooks({ after: { get: [withoutHash] } });

const tokenOf = (user: User, pad: string): Promise<string> =>
  authentication.createAccessToken({ pad }, { subject: String(user.id) });

let nextId = 10_000_000;

async function mint({ n, bytes }: Mint): Promise<string[]> {
  const minted: string[] = [];
  let pad: string | undefined;
  for (let count = 0; count < n; count += 1) {
    const email = `user-${crypto.randomUUID()}@example.org`;
    nextId += 1;
    const user: User = await app.service("users").create({ id: nextId, email });
    pad ??= padding(bytes, (await tokenOf(user, "")).length);
    minted.push(await tokenOf(user, pad));
  }
  return minted;
}

await app.service("users").create({ ...ACCOUNT, password: await passwords.hash(ACCOUNT.password) });
const server = await app.listen(0, "127.0.0.1");
if (!server.listening) await once(server, "listening");
answer(
  { port: server.address().port, version: installedVersion("@feathersjs/feathers") },
  {
    mint,
    login: () => ({
      path: "/authentication",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ strategy: "local", ...ACCOUNT }),
    }),
  },
);
