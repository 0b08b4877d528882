import { html, nothing, type TemplateResult } from "lit";

import type { FormStep } from "../../protocol/flow.ts";
import { asksForPasskey } from "./passkey.ts";
import { fill, type Texts } from "./texts.ts";

/** What the form of a second factor says and shows above its fields; nothing for other forms. */
export function factorTemplate(step: FormStep, texts: Texts) {
  const { step_id, description_placeholders } = step;
  const shown = description_placeholders ?? {};
  switch (step_id) {
    case "select_mfa_module":
      return html`<p>${texts.factorChoice}</p>`;
    case "select_mfa_setup":
      return html`<p>${texts.factorSetupChoice}</p>`;
    case "mfa":
      if (asksForPasskey(step)) return html`<p>${texts.passkey}</p>`;
      return html`<p>${enterCode(shown, texts)}</p>`;
    case "mfa_setup":
      if (asksForPasskey(step)) return html`<p>${texts.passkeySetup}</p>`;
      if (shown.url !== undefined) return setupTemplate(shown, texts);
      return html`<p>${asksWhere(step) ? texts.factorTarget : enterCode(shown, texts)}</p>`;
    case "mfa_recovery":
      return html`<p id="code-text">${texts.recovery}</p><pre class="code" part="code" dir="ltr" aria-describedby="code-text">${shown.codes}</pre>`;
    default:
      return asksForPasskey(step) ? html`<p>${texts.passkey}</p>` : nothing;
  }
}

function enterCode({ mfa_module_name: factor = "" }: Readonly<Record<string, string>>, texts: Texts): string {
  return fill(texts.factorCode, { factor });
}

/** Where codes are to be sent. */
function asksWhere({ data_schema }: FormStep): boolean {
  return data_schema.some(({ name }) => name === "target");
}

/** What its button says. */
export function isRecoveryForm({ step_id }: FormStep): boolean {
  return step_id === "mfa_recovery";
}

function setupTemplate(
  { code, url, qr_code: qrCode }: Readonly<Record<string, string>>,
  texts: Texts,
): TemplateResult {
  const link = url?.startsWith("otpauth:") ? html`<p><a href=${url}>${texts.factorLink}</a></p>` : nothing;
  const secret =
    code === undefined
      ? nothing
      : html`<p id="code-text" class="hint">${texts.factorSecret}</p><code class="secret" dir="ltr" aria-describedby="code-text">${code}</code>`;
  return html`<p>${texts.factorSetup}</p>${qrTemplate(qrCode ?? "", texts)}${secret}${link}`;
}

/** The shapes of the gateway's SVG. Its markup itself is not put into the page: a gateway may be anybody's. */
function qrTemplate(markup: string, texts: Texts) {
  const [, size] = /viewBox="0 0 (\d+) \d+"/.exec(markup) ?? [];
  const paths = [...markup.matchAll(/ d="([Mhvz\d -]+)"/g)].map(([, path]) => path);
  if (size === undefined || paths.length !== 2) return nothing;
  return html`<svg class="qr" role="img" aria-label=${texts.qrCode} viewBox="0 0 ${size} ${size}" shape-rendering="crispEdges"><path fill="#fff" d=${paths[0]} /><path fill="#000" d=${paths[1]} /></svg>`;
}
