import type { FactorSetupStep } from "../../../protocol/commands/factors.ts";
import type { FlowStep } from "../../../protocol/flow.ts";
import type { CodeWebhook } from "../../support/code-webhook.ts";
import { wrongCode } from "../../support/code-webhook.ts";
import type { HandClock } from "../../support/hand-clock.ts";
import { SoftwareAuthenticator } from "../../support/software-authenticator.ts";
import { codeAt, shownIn } from "./factor-people.ts";

type Step = FlowStep | FactorSetupStep;
type Input = Readonly<Record<string, string>>;

/** The authenticator app, security key, phone and recovery codes of a person. */
export class Devices {
  readonly #name: string;
  readonly #clock: HandClock;
  readonly #origin: string;
  readonly #phone: Pick<CodeWebhook, "latest">;
  /** Base32. */
  #app: string | undefined;
  #key: SoftwareAuthenticator | undefined;
  #newKey: SoftwareAuthenticator | undefined;
  #recoveryCodes: readonly string[] = [];

  constructor(options: {
    readonly name: string;
    readonly clock: HandClock;
    readonly origin: string;
    readonly phone: Pick<CodeWebhook, "latest">;
  }) {
    this.#name = options.name;
    this.#clock = options.clock;
    this.#origin = options.origin;
    this.#phone = options.phone;
  }

  /** What the person's phone shows now: the code of the message that came last. */
  get message(): string {
    return this.#phone.latest(this.#name);
  }

  /** What sets the factor of a form up. `message`: the code that was sent for it. */
  toSetUp(step: Step, message: string): Input {
    const shown = shownIn(step);
    if (shown.options !== undefined) {
      this.#newKey = new SoftwareAuthenticator(this.#origin);
      return this.#newKey.create(shown.options);
    }
    if (shown.code !== undefined) return { code: codeAt(shown.code, this.#clock.now()) };
    return asksFor(step, "target") ? { target: "+1 555" } : asksFor(step, "code") ? { code: message } : {};
  }

  /** What `toSetUp` answered was taken. */
  wasSetUp(step: Step): void {
    const { code, options, codes } = shownIn(step);
    if (code !== undefined) this.#app = code;
    if (options !== undefined) this.#key = this.#newKey;
    if (codes !== undefined) this.#recoveryCodes = codes.split("\n");
  }

  /** What proves the factor that a form asks for. Each code of the app and of the list is sent once. */
  toProve(step: Step, message: string): Input {
    const { options, mfa_module_id: id } = shownIn(step);
    if (options !== undefined) return this.#key?.get(options) ?? {};
    if (id === "notify") return { code: message };
    if (id === "recovery") {
      const [code = "none", ...rest] = this.#recoveryCodes;
      this.#recoveryCodes = rest;
      return { code };
    }
    this.#clock.advance(60_000);
    return { code: this.#app === undefined ? "000000" : codeAt(this.#app, this.#clock.now()) };
  }

  /** What logs the person in with the key alone. */
  toLogIn(step: Step, userId: string): Input {
    return { ...this.toProve(step, ""), user_handle: Buffer.from(userId).toString("base64url") };
  }
}

/** For each field of a form what its owner would not send. */
export function wrongInput(step: Step, message: string): Input {
  if (step.type !== "form") return {};
  const wrong = (name: string) => (name === "code" ? wrongCode(message) : name === "name" ? "wrong" : "AAAA");
  return Object.fromEntries(
    step.data_schema.map(({ name, options }) => [name, options?.[0]?.[0] ?? wrong(name)]),
  );
}

export function asksFor(step: Step, field: string): boolean {
  return step.type === "form" && step.data_schema.some(({ name }) => name === field);
}
