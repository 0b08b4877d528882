import { watchBystander } from "./bystander.ts";

/**
 * The bystander in a process of its own, so that the attackers' work does not count as the gateway's delay. Arguments: port
 * and process id of the gateway, and an access token. Prints `watching` once it is let in, and what it saw, as JSON, at SIGTERM.
 */
const [port = "", pid = "", accessToken = ""] = process.argv.slice(2);
const over = new Promise((resolve) => process.once("SIGTERM", resolve));
console.log(
  JSON.stringify(await watchBystander({ port: Number(port), pid: Number(pid) }, accessToken, over)),
);
