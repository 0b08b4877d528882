import { dialectOf } from "../../bench/load/dialects.ts";
import { authenticate, scriptOf } from "../../bench/load/handshake.ts";
import { monotonicNow } from "../../bench/support/machine.ts";
import { say } from "../support/say.ts";

/** The arguments of a crowd, as JSON. */
export interface CrowdOrder {
  readonly ports: readonly number[];
  readonly tokens: readonly string[];
  readonly sockets: number;
}

/**
 * Holds many authenticated sockets at gateways and with tokens in turn. Prints `open N` once all are open, `closed N AT
 * CODES` once all are closed (AT: ms of the machine's monotonic clock). At SIGTERM it prints `left N` and ends.
 */
const { ports, tokens, sockets }: CrowdOrder = JSON.parse(process.argv[2] ?? "");
/** Below the limit of unauthenticated sockets from one address. */
const atOnce = 64;

const dialect = dialectOf("home-assistant");
const codes = new Set<number>();
let next = 0;
let left = sockets;

async function openSome(): Promise<void> {
  for (let nth = next++; nth < sockets; nth = next++) {
    const port = ports[nth % ports.length] ?? 0;
    const script = scriptOf(dialect, tokens[nth % tokens.length] ?? "");
    const socket = await authenticate({ port, dialect }, script, nth);
    socket.onClose = (code) => {
      codes.add(code);
      left -= 1;
      if (left === 0) say(`closed ${sockets} ${monotonicNow()} ${[...codes].join(",")}`);
    };
  }
}

process.once("SIGTERM", () => {
  say(`left ${left}`);
  process.exit();
});
await Promise.all(Array.from({ length: atOnce }, openSome));
say(`open ${left}`);
