import type { CheckUpgrade, UpgradeDecision, UpgradeRequest } from "../connection/socket.ts";
import { dataHeaders } from "../http/security-headers.ts";
import type { RequestHead } from "./http-exchange.ts";
import { internalError, type Refusal, refusal } from "./refusal.ts";

/** Longest Sec-WebSocket-Protocol or Sec-WebSocket-Extensions that is read, in characters. */
const MAX_NEGOTIATION = 512;
const KEY = /^[+/0-9A-Za-z]{22}==$/;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

const notFound = refusal(404, "Not found");
const oldVersion = refusal(400, "An upgrade takes HTTP/1.1");
const noHost = refusal(400, "Missing Host");
const withBody = refusal(400, "An upgrade has no body");
const notGet = refusal(405, "An upgrade is a GET", { allow: "GET" });
const badVersion = refusal(426, "WebSocket version 13 is spoken here", {
  "sec-websocket-version": "13",
  upgrade: "websocket",
});
const badKey = refusal(400, "Missing or invalid Sec-WebSocket-Key");
const badNegotiation = refusal(400, "Invalid Sec-WebSocket-Protocol or Sec-WebSocket-Extensions");

/**
 * True for a request to speak WebSocket. Any other offer (`Upgrade: h2c`) is ignored, and the request is served as
 * plain HTTP (RFC 9110 section 7.8).
 */
export function asksForWebSocket(headers: {
  readonly upgrade: string | undefined;
  readonly connection: string | undefined;
}): boolean {
  const { upgrade, connection } = headers;
  // The spelling of browsers and most libraries.
  if (upgrade === "websocket" && connection === "Upgrade") return true;
  return upgrade?.toLowerCase() === "websocket" && /(?:^|,)\s*upgrade\s*(?:,|$)/i.test(connection ?? "");
}

/** Why an upgrade is refused before `checkUpgrade` is asked (RFC 6455 section 4.2.1). Undefined if it is not. */
export function upgradeRefusal(
  request: Pick<RequestHead, "method" | "path" | "fields" | "isHttp10">,
  socketPath: string,
): Refusal | undefined {
  const { method, path, fields } = request;
  if (request.isHttp10) return oldVersion;
  if (fields.get("host") === undefined) return noHost;
  if (fields.hasBody) return withBody;
  if (path !== socketPath) return notFound;
  if (method !== "GET") return notGet;
  if (fields.get("sec-websocket-version") !== "13") return badVersion;
  if (!KEY.test(fields.get("sec-websocket-key") ?? "")) return badKey;
  const protocols = fields.get("sec-websocket-protocol");
  if (protocols !== undefined && offeredSubprotocols(protocols) === undefined) return badNegotiation;
  if ((fields.get("sec-websocket-extensions")?.length ?? 0) > MAX_NEGOTIATION) return badNegotiation;
  return undefined;
}

/**
 * The offered subprotocols in order; undefined when the header is too long, malformed or names one twice. Empty elements
 * of the list are passed over (RFC 9110 section 5.6.1.2): libraries and proxies write an empty header, or a last comma.
 */
export function offeredSubprotocols(header: string | undefined): readonly string[] | undefined {
  if (header === undefined) return [];
  if (header.length > MAX_NEGOTIATION) return undefined;
  const offered = header
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  if (!offered.every((name) => TOKEN.test(name))) return undefined;
  return new Set(offered).size === offered.length ? offered : undefined;
}

type Accepted = Extract<UpgradeDecision, { accept: true }>;
type Verdict = Accepted | ({ readonly accept: false } & Refusal);

const badTarget = refusal(400, "Malformed request target");

/**
 * The decision on one upgrade, the same on every transport: framing, path, handshake, then the gateway's own answer.
 * A subprotocol that was not offered is not chosen. If `checkUpgrade` throws, that is reported and answered 500.
 */
export function decideUpgrade(
  head: RequestHead | undefined,
  options: { readonly socketPath: string; readonly checkUpgrade: CheckUpgrade },
  onError: (error: unknown) => void,
): Verdict {
  if (head === undefined) return { accept: false, ...badTarget };
  const refused = head.fields.fault() ?? upgradeRefusal(head, options.socketPath);
  if (refused !== undefined) return { accept: false, ...refused };
  const request = upgradeRequestOf(head);
  try {
    const admission = options.checkUpgrade(request);
    if (!admission.accept) return { ...admission, headers: { ...dataHeaders, ...admission.headers } };
    const { subprotocol } = admission;
    if (subprotocol === undefined || request.subprotocols.includes(subprotocol)) return admission;
    onError(new Error("checkUpgrade chose a subprotocol that was not offered"));
    return { ...admission, subprotocol: undefined };
  } catch (error) {
    onError(error);
    return { accept: false, ...internalError };
  }
}

function upgradeRequestOf(head: RequestHead): UpgradeRequest {
  return {
    path: head.path,
    query: head.query,
    header: (name) => head.fields.get(name),
    headerValues: (name) => head.fields.values(name),
    address: head.address,
    ...(head.channelBinding === undefined ? {} : { channelBinding: head.channelBinding }),
    subprotocols: offeredSubprotocols(head.fields.get("sec-websocket-protocol")) ?? [],
  };
}
