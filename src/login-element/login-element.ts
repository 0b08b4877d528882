import { html, LitElement, type PropertyValues, type TemplateResult } from "lit";

import type { FormStep } from "../../protocol/flow.ts";
import type { DeviceTokenStore } from "../client/device-store.ts";
import { GatewayClient } from "../client/gateway-client.ts";
import type { StepUpHandler, StepUpRequest } from "../client/step-up.ts";
import type { TokenStore } from "../client/token-store.ts";
import { browserDeviceStore } from "./device-storage.ts";
import type { GatehouseLoginElement } from "./events.ts";
import { answerOf, fieldId, isSecret, problemsOf } from "./form-fields.ts";
import { LoginController, type LoginOutcome, type LoginState, type View } from "./login-controller.ts";
import { isOwnerForm } from "./owner-form.ts";
import { answerWithPasskey, asksForPasskey, passkeyProblem } from "./passkey.ts";
import { stepUpClient } from "./step-up-client.ts";
import { styles } from "./styles.ts";
import { fill, languageOf, type Texts, textsIn } from "./texts.ts";
import { announcement, isBlocked, problemText, type ViewContext, viewTemplate } from "./views.ts";

/** Attributes that are part of the login: if one changes, it starts again. */
const requestProperties = [
  "url",
  "clientId",
  "clientName",
  "redirectUri",
  "purpose",
  "codeChallenge",
  "scope",
  "resource",
  "nonceOfClient",
  "acrValues",
  "maxAge",
  "requestUri",
  "stepUp",
] as const;

export class LoginElement extends LitElement implements GatehouseLoginElement {
  static override styles = styles;
  static override properties = {
    url: {},
    clientId: { attribute: "client-id" },
    clientName: { attribute: "client-name" },
    redirectUri: { attribute: "redirect-uri" },
    purpose: { attribute: "for" },
    state: {},
    codeChallenge: { attribute: "code-challenge" },
    scope: {},
    resource: {},
    // `nonce` is a property of every element, for content security policies.
    nonceOfClient: { attribute: "client-nonce" },
    acrValues: { attribute: "acr-values" },
    maxAge: { attribute: "max-age" },
    requestUri: { attribute: "request-uri" },
    stepUp: { attribute: false },
    // Reactive only so that Lit keeps what a page sets before the element is defined.
    setupCode: { attribute: false },
    tokens: { attribute: false },
    device: { attribute: false },
    onStepUp: { attribute: false },
    // Only so that a change shows the other texts. `lang` itself stays the browser's property.
    language: { attribute: "lang" },
  };

  declare url: string | null;
  declare clientId: string | null;
  declare clientName: string | null;
  declare redirectUri: string | null;
  declare purpose: "session" | "code" | "setup" | "step-up";
  declare state: string | null;
  declare codeChallenge: string | null;
  declare scope: string | null;
  declare resource: string | null;
  declare nonceOfClient: string | null;
  declare acrValues: string | null;
  declare maxAge: string | null;
  declare requestUri: string | null;
  declare stepUp: StepUpRequest | undefined;
  declare setupCode: string;
  declare tokens: TokenStore | undefined;
  declare device: DeviceTokenStore | undefined;
  declare onStepUp: StepUpHandler | undefined;
  #client: GatewayClient | undefined;
  #controller: LoginController | undefined;
  #fieldProblems: Readonly<Record<string, string>> = {};
  /** The view that has or had the focus. */
  #focused: View | undefined;
  #ticking: ReturnType<typeof setInterval> | undefined;

  constructor() {
    super();
    this.url = null;
    this.clientId = null;
    this.clientName = null;
    this.redirectUri = null;
    this.purpose = "session";
    this.state = null;
    this.codeChallenge = null;
    this.scope = null;
    this.resource = null;
    this.nonceOfClient = null;
    this.acrValues = null;
    this.maxAge = null;
    this.requestUri = null;
    this.stepUp = undefined;
    this.setupCode = "";
    this.tokens = undefined;
    this.device = undefined;
    this.onStepUp = undefined;
  }

  get client(): GatewayClient | undefined {
    const isOurs = this.purpose === "session" || this.purpose === "setup";
    return this.#controller?.state.view.kind === "done" && isOurs ? this.#client : undefined;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    // After the element was moved. The first time, the first update starts it.
    if (this.hasUpdated && this.client === undefined) this.#restart();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.#ticking);
    this.#controller?.stop();
  }

  protected override willUpdate(changed: PropertyValues): void {
    if (requestProperties.some((name) => changed.has(name))) this.#restart();
  }

  #restart(): void {
    this.#controller?.stop();
    this.#focused = undefined;
    const url = new URL(this.url ?? location.origin, document.baseURI).href;
    const clientId = this.clientId ?? undefined;
    const options = {
      url,
      clientId,
      device: this.device ?? browserDeviceStore(url),
      ...(this.tokens === undefined ? {} : { tokens: this.tokens }),
    };
    // A getter: the client asks for it after the login, and a page may set it until then.
    const client = new GatewayClient(
      Object.defineProperty(options, "onStepUp", { get: () => this.#stepUpHandler }),
    );
    this.#client = client;
    const controller = new LoginController({
      client: this.purpose === "step-up" ? stepUpClient(this.stepUp) : client,
      request: {
        for: this.purpose === "code" ? "code" : "session",
        ...(this.redirectUri === null ? {} : { redirect_uri: this.redirectUri }),
        ...(this.clientName === null ? {} : { client_name: this.clientName }),
        ...(this.codeChallenge === null ? {} : { code_challenge: this.codeChallenge }),
        ...(this.scope === null ? {} : { scope: this.scope }),
        ...(this.resource === null ? {} : { resource: this.resource }),
        ...(this.nonceOfClient === null ? {} : { nonce: this.nonceOfClient }),
        ...(this.acrValues === null ? {} : { acr_values: this.acrValues }),
        ...(this.maxAge === null ? {} : { max_age: Number(this.maxAge) }),
        ...(this.requestUri === null ? {} : { request_uri: this.requestUri }),
      },
      setup: this.purpose === "setup" ? { code: this.setupCode } : undefined,
      changed: () => this.#changed(controller),
      finished: (outcome) => controller === this.#controller && this.#finished(client, outcome),
    });
    this.#controller = controller;
    void controller.begin();
  }

  get #stepUpHandler(): StepUpHandler | undefined {
    if (this.onStepUp === undefined) return undefined;
    return (request) => (this.onStepUp === undefined ? request.cancel() : this.onStepUp(request));
  }

  #changed(controller: LoginController): void {
    if (controller !== this.#controller) return;
    const { view, waitUntil } = controller.state;
    this.#fieldProblems = view.kind === "form" ? problemsOf(view.step, this.#texts) : {};
    clearInterval(this.#ticking);
    if (waitUntil !== undefined) this.#ticking = setInterval(() => this.#tick(), 1000);
    this.requestUpdate();
  }

  #tick(): void {
    if (this.#waitSeconds === 0) clearInterval(this.#ticking);
    this.requestUpdate();
  }

  get #waitSeconds(): number {
    const until = this.#controller?.state.waitUntil ?? 0;
    return Math.max(0, Math.ceil((until - Date.now()) / 1000));
  }

  get #texts() {
    return textsIn(languageOf(this));
  }

  #finished(client: GatewayClient, outcome: LoginOutcome): void {
    const { state, redirectUri } = this;
    if (outcome.kind === "authenticated" && this.purpose === "step-up")
      this.#dispatch("gatehouse-stepped-up", null);
    else if (outcome.kind === "authenticated") this.#dispatch("gatehouse-authenticated", { client });
    else if (outcome.kind === "ended") this.#dispatch("gatehouse-ended", { reason: outcome.reason });
    else this.#dispatch("gatehouse-code", { code: outcome.code, redirectUri, state });
  }

  #dispatch(name: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }

  #title({ title, setupTitle, stepUpTitle }: Texts): string {
    if (this.purpose === "setup") return setupTitle;
    return this.purpose === "step-up" ? stepUpTitle : title;
  }

  #submit(event: SubmitEvent): void {
    event.preventDefault();
    const controller = this.#controller;
    const form = event.currentTarget;
    if (controller === undefined || !(form instanceof HTMLFormElement)) return;
    const { view } = controller.state;
    if (view.kind !== "form" || isBlocked({ state: controller.state, waitSeconds: this.#waitSeconds }))
      return;
    if (asksForPasskey(view.step)) {
      this.#askBrowser(controller, view.step);
      return;
    }
    const answer = answerOf(form, view.step, this.#texts);
    this.#fieldProblems = "wrong" in answer ? answer.wrong : {};
    this.requestUpdate();
    if ("input" in answer) void controller.submit(answer.input);
    else void this.updateComplete.then(() => this.#focusFirstWrong());
  }

  #askBrowser(controller: LoginController, step: FormStep): void {
    answerWithPasskey(step).then(
      (input) => void controller.submit(input),
      (error: unknown) => controller.notAnswered(step, passkeyProblem(error)),
    );
  }

  protected override render(): TemplateResult {
    const controller = this.#controller;
    if (controller === undefined) return html``;
    const { state } = controller;
    const texts = this.#texts;
    const { provider, providers, view } = state;
    const isNamed = provider !== undefined && providers.length > 1 && view.kind !== "providers";
    return html`<div class="card" part="card" lang=${languageOf(this)} aria-busy=${String(state.busy)}>
      <h2 part="title" tabindex="-1">${isNamed ? fill(texts.titleWith, { provider: provider.name }) : this.#title(texts)}</h2>
      <p class="visually-hidden" role="status">${announcement(state, texts)}</p>
      <p class="problem alert" part="error" role="alert">${problemText(state, texts)}</p>
      ${viewTemplate(this.#context(controller, state))}
    </div>`;
  }

  #context(controller: LoginController, state: LoginState): ViewContext {
    return {
      state,
      texts: this.#texts,
      waitSeconds: this.#waitSeconds,
      fieldProblems: this.#fieldProblems,
      target: targetOf(this.redirectUri ?? ""),
      startsAgain: this.purpose !== "step-up",
      onSubmit: (event) => this.#submit(event),
      onChoose: (provider) => void controller.choose(provider),
      onOtherWay: () => controller.showProviders(),
      onAgain: () => void controller.again(),
      onOpened: () => controller.opened(),
      onConfirm: () => controller.confirm(),
    };
  }

  /**
   * The focus follows the login once the person is in it: into a new form, else to the heading. A page that has just been
   * opened keeps its focus, unless the element has `autofocus`.
   */
  protected override updated(): void {
    const { view } = this.#controller?.state ?? {};
    if (view === undefined || view === this.#focused || view.kind === "loading") return;
    const isFirst = this.#focused === undefined;
    const isSameForm = view.kind === "form" && this.#focused?.kind === "form";
    this.#focused = view;
    if (isFirst && !this.autofocus) return;
    if (view.kind === "form") {
      // The passwords of an owner are not what was wrong, or are shown to be.
      if (isSameForm && !isOwnerForm(view.step))
        this.#emptySecrets(view.step.data_schema.filter(isSecret).map(fieldId));
      if (!this.#focusFirstWrong()) this.#focusForm(isSameForm);
    } else this.renderRoot.querySelector<HTMLElement>("h2")?.focus();
    // On a phone the code to compare would be below the edge.
    this.scrollIntoView({ block: "nearest" });
  }

  #focusFirstWrong(): boolean {
    const wrong = this.renderRoot.querySelector<HTMLElement>("[aria-invalid]");
    wrong?.focus();
    return wrong !== null;
  }

  /** Into the first field. After a refused answer: into what is empty now. */
  #focusForm(isAgain: boolean): void {
    const inputs = [...this.renderRoot.querySelectorAll<HTMLInputElement>("form input, form select")];
    const empty = inputs.find((input) => input.value === "");
    ((isAgain ? empty : undefined) ?? inputs[0] ?? this.renderRoot.querySelector("button"))?.focus();
  }

  #emptySecrets(ids: readonly string[]): void {
    for (const id of ids) {
      const input = this.renderRoot.querySelector<HTMLInputElement>(`#${CSS.escape(id)}`);
      if (input !== null) input.value = "";
    }
  }
}

function targetOf(redirectUri: string): string {
  return (URL.canParse(redirectUri) && new URL(redirectUri).host) || redirectUri;
}
