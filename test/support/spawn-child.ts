import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from "node:child_process";

/**
 * util-linux's setpriv asks the kernel to end the child if this process dies in any way. So a test run that is killed,
 * or whose worker is ended after a timeout, leaves no server behind. On other systems only the tests end their
 * children.
 */
const endsWithParent =
  spawnSync("setpriv", ["--pdeathsig", "KILL", "true"], { stdio: "ignore" }).status === 0;

/** As `spawn`. The child has the pid that is returned: setpriv replaces itself. */
export function spawnChild(
  program: string,
  args: readonly string[],
  options: SpawnOptions = {},
): ChildProcess {
  return endsWithParent
    ? spawn("setpriv", ["--pdeathsig", "KILL", program, ...args], options)
    : spawn(program, args, options);
}
