import { html, nothing, type TemplateResult } from "lit";
import { keyed } from "lit/directives/keyed.js";

import type { ProviderInfo } from "../../protocol/commands/login.ts";
import type { ExternalStep, FormStep, ProgressStep } from "../../protocol/flow.ts";
import { factorTemplate, isRecoveryForm } from "./factor-views.ts";
import { fieldTemplate } from "./form-fields.ts";
import type { LoginState } from "./login-controller.ts";
import { isOwnerForm } from "./owner-form.ts";
import { asksForPasskey } from "./passkey.ts";
import { fill, type Texts, textOfCode } from "./texts.ts";

/** What a view needs beside the state of the login. */
export interface ViewContext {
  readonly state: LoginState;
  readonly texts: Texts;
  /** Seconds until something can be sent again; 0 if it can be now. */
  readonly waitSeconds: number;
  /** Problems of single fields, in words, by name. */
  readonly fieldProblems: Readonly<Record<string, string>>;
  /** Where a code goes: the host of the redirect URI, or that URI if it has none. */
  readonly target: string;
  /** After an end another login may begin. A step-up is over with its login. */
  readonly startsAgain: boolean;
  readonly onSubmit: (event: SubmitEvent) => void;
  readonly onChoose: (provider: ProviderInfo) => void;
  readonly onOtherWay: () => void;
  readonly onAgain: () => void;
  readonly onOpened: () => void;
  readonly onConfirm: () => void;
}

export function viewTemplate(context: ViewContext): TemplateResult {
  const { state, texts } = context;
  const { view } = state;
  switch (view.kind) {
    case "loading":
      return html`${bar()}<p>${texts.loading}</p>`;
    case "providers":
      return providersTemplate(context);
    case "form":
      return html`${keyed(formKey(view.step), formTemplate(context, view.step))}${isOwnerForm(view.step) ? nothing : otherWay(context)}`;
    case "external":
      return html`${externalTemplate(context, view.step)}${otherWay(context)}`;
    case "progress":
      return html`${progressTemplate(context, view.step)}${otherWay(context)}`;
    case "confirm":
      return confirmTemplate(context);
    case "ended":
      if (view.reason === "onboarding_done" || !context.startsAgain)
        return html`<p>${reasonText(texts, view.reason)}</p>`;
      return html`<p>${reasonText(texts, view.reason)}</p>${button(context, texts.again, context.onAgain)}${otherWay(context)}`;
    case "failed":
      return failedTemplate(context);
    case "setup":
      return html`<p>${texts.setup}</p>`;
    case "done":
      return html`<p>${texts.done}</p>`;
  }
}

/** What screen readers announce when a view appears. Errors are announced by themselves. */
export function announcement({ view, provider }: LoginState, texts: Texts): string {
  const placeholders = "step" in view ? view.step.description_placeholders : null;
  const code = placeholders?.code === undefined ? "" : ` ${placeholders.code}`;
  switch (view.kind) {
    case "loading":
      return texts.loading;
    case "external":
      return fill(texts.external, { provider: nameOf(placeholders, provider) }) + code;
    case "progress":
      return (view.step.progress_action === "wait_for_approval" ? texts.approval : texts.progress) + code;
    case "ended":
      return reasonText(texts, view.reason);
    case "done":
      return texts.done;
    default:
      return "";
  }
}

export function problemText({ problem, view }: LoginState, texts: Texts): string {
  if (problem === undefined) return "";
  const isPassword = problem === "invalid_auth" && view.kind === "form" && asksForPassword(view.step);
  return isPassword ? texts.problems.wrong_password : textOfCode(texts.problems, problem);
}

function asksForPassword({ data_schema }: FormStep): boolean {
  return data_schema.some(({ name }) => name === "password");
}

function reasonText(texts: Texts, reason: string): string {
  return reason === "no_providers" ? texts.noProviders : textOfCode(texts.reasons, reason);
}

function providersTemplate({ state, texts, onChoose }: ViewContext): TemplateResult {
  const items = state.providers.map(
    (provider) => html`<li><button type="button" part="button provider" aria-disabled=${String(state.busy)}
      @click=${() => !state.busy && onChoose(provider)}>${provider.name}</button></li>`,
  );
  return html`<p id="choose">${texts.choose}</p><ul aria-labelledby="choose">${items}</ul>`;
}

function formTemplate(context: ViewContext, step: FormStep): TemplateResult {
  const { state, texts, fieldProblems, onSubmit } = context;
  return html`<form part="form" novalidate @submit=${onSubmit}>
    ${factorTemplate(step, texts)}
    ${asksForPasskey(step) ? nothing : step.data_schema.map((field) => fieldTemplate({ field, texts, problem: fieldProblems[field.name] }))}
    <slot name="options"></slot>
    ${provingTemplate(context)}
    <button part="button submit" class="primary" type="submit" aria-disabled=${String(isBlocked(context))}>
      ${waiting(context) ?? (state.busy ? texts.working : submitText(texts, step))}
    </button>
  </form>`;
}

/** A password takes a second or more to be proved. */
function provingTemplate({ state: { proving }, texts }: ViewContext) {
  if (proving === undefined) return nothing;
  return html`<progress part="progress" max="1" .value=${proving} aria-label=${texts.proving}></progress>`;
}

function submitText(texts: Texts, step: FormStep): string {
  if (isOwnerForm(step)) return texts.createOwner;
  if (isRecoveryForm(step)) return texts.recoveryKept;
  if (asksForPasskey(step)) return texts.usePasskey;
  return asksForPassword(step) ? texts.submit : texts.next;
}

function externalTemplate({ state, texts, onOpened }: ViewContext, step: ExternalStep): TemplateResult {
  const { code } = step.description_placeholders ?? {};
  const provider = nameOf(step.description_placeholders, state.provider);
  return html`<p>${fill(texts.external, { provider })}</p>
    ${code === undefined ? nothing : html`<p id="code-text">${texts.codeToCompare}</p>${codeTemplate(code)}`}
    <a part="button open" class="button primary" href=${safeAddress(step.url)} target="_blank" rel="noopener noreferrer"
      @click=${onOpened}>${fill(texts.open, { provider })} <span aria-hidden="true">↗</span><span class="visually-hidden">(${texts.newTab})</span></a>`;
}

function progressTemplate({ texts }: ViewContext, step: ProgressStep): TemplateResult {
  const { code } = step.description_placeholders ?? {};
  const isApproval = step.progress_action === "wait_for_approval";
  return html`${bar()}<p>${isApproval ? texts.approval : texts.progress}</p>
    ${code === undefined ? nothing : html`<p id="code-text">${texts.approvalCode}</p>${codeTemplate(code)}`}`;
}

function confirmTemplate(context: ViewContext): TemplateResult {
  const { texts, target: host, onConfirm } = context;
  return html`<p>${fill(texts.confirm, { host })}</p>${button(context, fill(texts.confirmYes, { host }), onConfirm)}`;
}

function failedTemplate(context: ViewContext): TemplateResult {
  const { state, texts, waitSeconds, onAgain } = context;
  if (!state.retries) return html`${button(context, texts.again, onAgain)}${otherWay(context)}`;
  const text = waitSeconds > 0 ? fill(texts.retrying, { seconds: waitSeconds }) : texts.loading;
  return html`${bar()}<p>${text}</p>${button({ ...context, waitSeconds: 0 }, texts.tryNow, onAgain)}`;
}

function button(context: ViewContext, text: string, onClick: () => void): TemplateResult {
  const blocked = isBlocked(context);
  return html`<button part="button" class="primary" type="button" aria-disabled=${String(blocked)}
    @click=${() => !blocked && onClick()}>${waiting(context) ?? text}</button>`;
}

function otherWay({ state, texts, onOtherWay }: ViewContext) {
  if (state.providers.length < 2) return nothing;
  return html`<button part="button other" class="link" type="button" @click=${onOtherWay}>${texts.otherWay}</button>`;
}

function codeTemplate(code: string): TemplateResult {
  return html`<strong class="code" part="code" dir="ltr" aria-describedby="code-text">${code}</strong>`;
}

const bar = () => html`<div class="bar" part="bar"></div>`;

export function isBlocked({ state, waitSeconds }: Pick<ViewContext, "state" | "waitSeconds">): boolean {
  return state.busy || waitSeconds > 0;
}

function waiting({ texts, waitSeconds }: ViewContext): string | undefined {
  return waitSeconds > 0 ? fill(texts.waitSeconds, { seconds: waitSeconds }) : undefined;
}

/** A new form has new inputs. The same form again keeps what was typed, that for the owner also if it asks for more. */
function formKey(step: FormStep): string {
  if (isOwnerForm(step)) return "owner";
  const { flow_id, handler, step_id, data_schema } = step;
  const isStart = step_id === "init";
  return JSON.stringify([isStart ? null : flow_id, handler, step_id, data_schema]);
}

function nameOf(
  placeholders: Readonly<Record<string, string>> | null,
  provider: ProviderInfo | undefined,
): string {
  return placeholders?.provider ?? provider?.name ?? "";
}

/** A provider of somebody else may send any text: only a web address is opened. */
function safeAddress(url: string): string | typeof nothing {
  return URL.canParse(url, document.baseURI) && /^https?:$/.test(new URL(url, document.baseURI).protocol)
    ? url
    : nothing;
}
