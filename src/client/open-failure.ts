import { GatewayError } from "./errors.ts";

/** What the `ws` package reports about a socket that does not open. Browsers report nothing. */
export interface OpenFailureEvent {
  readonly error?: unknown;
  readonly message?: string;
}

/** An HTTP answer to the upgrade, as Node's clients represent it. */
export interface HttpAnswer {
  readonly statusCode?: number | undefined;
  readonly headers?: Readonly<Record<string, string | readonly string[] | undefined>> | undefined;
  setEncoding(encoding: "utf8"): unknown;
  on(event: "data", listener: (chunk: string) => void): unknown;
  on(event: "end" | "error" | "close", listener: () => void): unknown;
}

const longestBody = 4_096;

/** Error codes of Node and OpenSSL, each with a hint. */
const hints: readonly (readonly [pattern: RegExp, hint: string])[] = [
  [/^ECONNREFUSED$/, "nothing listens there: check host and port"],
  [/^(?:ENOTFOUND|EAI_AGAIN)$/, "the host name is unknown"],
  [/^(?:ETIMEDOUT|EHOSTUNREACH|ENETUNREACH)$/, "the host cannot be reached"],
  [
    /SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|DEPTH_ZERO/,
    "the certificate is not trusted: name its CA's file in NODE_EXTRA_CA_CERTS",
  ],
  [/^CERT_HAS_EXPIRED$/, "the server's certificate has expired"],
  [/^ERR_TLS_CERT_ALTNAME_INVALID$/, "the server's certificate is for another name"],
  [/^(?:ERR_SSL_|EPROTO)/, "the server speaks no TLS there: try http:// or ws://"],
  [/^(?:ECONNRESET|HPE_)/, "the server may expect TLS there: try https:// or wss://"],
];

/** Whether the server's certificate is the reason: another attempt will fail too. */
export function isCertificateFault({ code, cause }: GatewayError): boolean {
  const fault = code === "cannot_connect" ? codeOf(cause) : "";
  return /^CERT_|SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)|DEPTH_ZERO|ALTNAME_INVALID/.test(fault);
}

/** `cannot_connect` with the runtime's own reason as text and as `cause`. */
export function openFailure({ error, message }: OpenFailureEvent): GatewayError {
  const reason = message || (error instanceof Error ? error.message : "");
  if (reason === "" && error === undefined)
    return new GatewayError(
      "cannot_connect",
      "The socket could not be opened. A browser does not say why: check the address, the certificate, and that the gateway's `origins` list this page's origin",
    );
  const hint = hints.find(([pattern]) => pattern.test(codeOf(error)))?.[1];
  const text = `The socket could not be opened: ${reason || codeOf(error)}`;
  return new GatewayError("cannot_connect", hint === undefined ? text : `${text} (${hint})`, {
    cause: error,
  });
}

/**
 * `cannot_connect` whose `cause` has the gateway's error code. The gateway's own answers have a body `{message, code}`.
 */
export async function refusedUpgrade(answer: HttpAnswer): Promise<GatewayError> {
  const { message, code } = wordsOf(await textOf(answer));
  const status = answer.statusCode ?? 0;
  const said = message === undefined ? "" : `: ${message}`;
  const text = `The server answered ${status} instead of opening a socket${said}${code === undefined ? "" : ` (${code})`}`;
  const cause = code === undefined ? undefined : new GatewayError(code, message ?? code);
  return new GatewayError("cannot_connect", text, { cause, retryAfterSeconds: retryAfterOf(answer) });
}

function textOf(answer: HttpAnswer): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    answer.setEncoding("utf8");
    answer.on("data", (chunk) => {
      if (text.length < longestBody) text += chunk;
    });
    for (const end of ["end", "error", "close"] as const) answer.on(end, () => resolve(text));
  });
}

function wordsOf(body: string) {
  try {
    const value = JSON.parse(body) as { message?: unknown; code?: unknown };
    return {
      message: typeof value.message === "string" ? value.message.slice(0, 200) : undefined,
      code: typeof value.code === "string" ? value.code.slice(0, 64) : undefined,
    };
  } catch {
    return { message: undefined, code: undefined };
  }
}

/** Seconds; a date, which the header may have too, is left out. */
function retryAfterOf({ headers }: HttpAnswer): number | undefined {
  const seconds = headers?.["retry-after"];
  return typeof seconds === "string" && /^\d{1,6}$/.test(seconds) ? Number(seconds) : undefined;
}

/** The code of the error or of its cause. Node wraps several refused addresses in one `AggregateError`. */
function codeOf(error: unknown): string {
  for (let fault = error; fault instanceof Error; fault = fault.cause) {
    if ("code" in fault && typeof fault.code === "string") return fault.code;
    if (fault instanceof AggregateError) return codeOf(fault.errors[0]);
  }
  return "";
}
