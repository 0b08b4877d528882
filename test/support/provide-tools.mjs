import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { patiently } from "./package-lock.mjs";

/** What the tests start themselves and a machine may lack: command, Debian package, what it is for. */
const tools = [
  { command: "redis-server", package: "redis-server", purpose: "the Redis store" },
  { command: "redis-sentinel", package: "redis-sentinel", purpose: "the Redis store behind Sentinel" },
  { command: "openssl", package: "openssl", purpose: "certificates for TLS" },
  { command: "strace", package: "strace", purpose: "what a loss of power leaves of the embedded store" },
  { command: "spin", package: "spin", purpose: "the model of the lease" },
  { command: "gcc", package: "gcc", purpose: "the model of the lease, and a disk that fails" },
  { command: "nginx", package: "nginx-light", purpose: "the sample configuration of a proxy" },
  { command: "slapd", package: "slapd", purpose: "logins at a directory" },
  { command: "chromium", package: "chromium", purpose: "the client SDK and the set-up page in a browser" },
];

const POLICY = "/usr/sbin/policy-rc.d";
const has = (command) => spawnSync("sh", ["-c", `command -v ${command}`]).status === 0;

function isDebianRoot() {
  const release = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  return /^ID(_LIKE)?=.*debian/m.test(release) && process.getuid?.() === 0 && has("apt-get");
}

/** Debian starts a service when its package is installed; the tests want the program only. */
function withoutServices(action) {
  const mine = !existsSync(POLICY);
  if (mine) writeFileSync(POLICY, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    return action();
  } finally {
    if (mine) rmSync(POLICY, { force: true });
  }
}

function installFromDebian(packages) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" };
  const apt = (...args) =>
    patiently(() => spawnSync("apt-get", ["-qq", "-y", ...args], { env, encoding: "utf8" }), console.error);
  return withoutServices(() => apt("update") && apt("install", "--no-install-recommends", ...packages));
}

/** Installs missing tools on Debian as root; anywhere else says what to install and ends the run. */
export function provideTools() {
  const missing = tools.filter((tool) => !has(tool.command));
  if (missing.length === 0) return;
  if (!isDebianRoot()) {
    for (const tool of missing) {
      console.error(
        `Tests need ${tool.command} (${tool.purpose}): install Debian's "${tool.package}" or its like.`,
      );
    }
    process.exit(1);
  }
  const packages = missing.map((tool) => tool.package);
  console.log(`installing ${packages.join(", ")}`);
  installFromDebian(packages);
  const absent = tools.filter((tool) => !has(tool.command));
  if (absent.length > 0) {
    console.error(`could not install ${absent.map((tool) => tool.package).join(", ")}`);
    process.exit(1);
  }
}
