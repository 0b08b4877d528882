import type { WireFormat } from "./wire-format.ts";

/** The client's first choice that the server has. If it has none of them: the default, and no subprotocol. */
export function chooseSubprotocol(wires: readonly [WireFormat, ...WireFormat[]], offered: readonly string[]) {
  for (const subprotocol of offered) {
    const wire = wires.find(({ codec }) => codec.subprotocol === subprotocol);
    if (wire !== undefined) return { wire, subprotocol };
  }
  return { wire: wires[0], subprotocol: undefined };
}
