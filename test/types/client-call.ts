// Checked by `tsc`: a command with required fields cannot be called without them.
import type { GatewayClient } from "../../src/client/index.ts";

export function calls(client: GatewayClient): void {
  void client.call("auth/current_user");
  void client.call("auth/sign_path", { path: "/api/" });
  // @ts-expect-error the path is missing
  void client.call("auth/sign_path");
  // @ts-expect-error the path is missing
  void client.call("auth/sign_path", {});
}
