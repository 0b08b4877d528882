import type { Admission, Admit, UpgradeRequest } from "../connection/socket.ts";
import { dataHeaders } from "../http/security-headers.ts";
import type { RequestHead } from "./http-exchange.ts";
import { internalError, type Refusal, refusal } from "./refusal.ts";
import { offeredSubprotocols, upgradeRefusal } from "./upgrade.ts";

type Accepted = Extract<Admission, { accept: true }>;
type Verdict = Accepted | ({ readonly accept: false } & Refusal);

const badTarget = refusal(400, "Malformed request target");

/**
 * The verdict on one upgrade, the same on every transport: framing, path, handshake, then the gateway's own answer. A
 * subprotocol that was not offered is not chosen; an `admit` that throws is reported and answered 500.
 */
export function admitUpgrade(
  head: RequestHead | undefined,
  options: { readonly socketPath: string; readonly admit: Admit },
  onError: (error: unknown) => void,
): Verdict {
  if (head === undefined) return { accept: false, ...badTarget };
  const refused = head.fields.fault() ?? upgradeRefusal(head, options.socketPath);
  if (refused !== undefined) return { accept: false, ...refused };
  const request = upgradeRequestOf(head);
  try {
    const admission = options.admit(request);
    if (!admission.accept) return { ...admission, headers: { ...dataHeaders, ...admission.headers } };
    const { subprotocol } = admission;
    if (subprotocol === undefined || request.subprotocols.includes(subprotocol)) return admission;
    onError(new Error("admit chose a subprotocol that was not offered"));
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
    address: head.address,
    subprotocols: offeredSubprotocols(head.fields.get("sec-websocket-protocol")) ?? [],
  };
}
