/**
 * `gatehouse-client/login-element`: defines `<gatehouse-login>` where it is imported. What it gives its page is a client
 * of the same class as `gatehouse-client` exports.
 */
import type { GatehouseLoginElement } from "./events.ts";
import { LoginElement } from "./login-element.ts";

export { GatewayError } from "../client/errors.ts";
export { GatewayClient } from "../client/gateway-client.ts";
export type { GatehouseLoginElement, GatehouseLoginEvents } from "./events.ts";

export const GatehouseLogin: new () => GatehouseLoginElement = LoginElement;

// Two copies of this file in one page share the first one's element.
if (customElements.get("gatehouse-login") === undefined)
  customElements.define("gatehouse-login", LoginElement);

declare global {
  interface HTMLElementTagNameMap {
    "gatehouse-login": GatehouseLoginElement;
  }
}
