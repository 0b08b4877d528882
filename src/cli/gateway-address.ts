import { socketUrl } from "../client/socket-address.ts";
import { UsageError } from "./output.ts";

/** Throws `UsageError` for what is no address of a gateway: another try would not help. */
export function requireGatewayAddress(url: string): void {
  try {
    socketUrl(url);
  } catch (error) {
    throw error instanceof TypeError ? new UsageError(error.message) : error;
  }
}
