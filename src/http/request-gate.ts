import { errorCodes } from "../../protocol/errors.ts";
import type { HttpMessage } from "../../protocol/http.ts";
import { addressShare } from "../net/address-share.ts";
import type { ClientAddress, HeaderLookup } from "../net/client-address.ts";
import type { LoopBudget } from "../net/loop-budget.ts";
import type { HttpEntry, HttpGate, HttpHead } from "./endpoint.ts";
import { dataHeaders } from "./security-headers.ts";

export interface RequestGateOptions {
  readonly clientOf: (peerAddress: string, header: HeaderLookup) => ClientAddress;
  readonly loopBudget: LoopBudget;
  /** Requests of one address that may be in progress at once. */
  readonly requestsPerAddress: number;
  /** An address has as many requests in progress as it may. */
  readonly onFull: () => void;
}

/** Event-loop time of a request beside its body, ms. */
const requestMs = 0.25;
/** The same for a refused one. */
const refusedMs = 0.1;

const probes: ReadonlySet<string> = new Set(["/healthz", "/readyz"]);

/** A monitor may share its address with clients that flood, and takes a node that does not answer out of service. */
function isProbe({ path, method, hasBody }: HttpHead): boolean {
  return method === "GET" && !hasBody && probes.has(path);
}

/**
 * Lets a request in while its address is within its share of requests and of event-loop time. Health probes are
 * charged and never refused.
 */
export function createRequestGate(options: RequestGateOptions): HttpGate {
  const { clientOf, loopBudget, requestsPerAddress, onFull } = options;
  const underWay = new Map<string, number>();
  return (head) => {
    const { address } = head;
    const client = clientOf(address, head.header);
    const peer = { address, client };
    const share = addressShare(client.address);
    const charge = (ms: number) => loopBudget.charge(share, ms);
    if (isProbe(head)) {
      charge(requestMs);
      return { accept: true, peer, leave: () => undefined, charge };
    }
    const waitSeconds = loopBudget.refusal(share, "request");
    if (waitSeconds !== undefined) {
      charge(refusedMs);
      return tooMany(waitSeconds);
    }
    const here = underWay.get(share) ?? 0;
    if (here >= requestsPerAddress) {
      onFull();
      charge(refusedMs);
      return tooMany(1);
    }
    charge(requestMs);
    underWay.set(share, here + 1);
    return { accept: true, peer, leave: () => leave(underWay, share), charge };
  };
}

function leave(underWay: Map<string, number>, share: string): void {
  const left = (underWay.get(share) ?? 1) - 1;
  if (left === 0) underWay.delete(share);
  else underWay.set(share, left);
}

function tooMany(waitSeconds: number): HttpEntry {
  const { status, text } = errorCodes.rate_limited;
  const body: HttpMessage = { message: text, code: "rate_limited" };
  const headers = {
    "content-type": "application/json",
    "cache-control": "no-store",
    ...dataHeaders,
    "retry-after": String(waitSeconds),
  };
  return { accept: false, status, headers, body: JSON.stringify(body) };
}
