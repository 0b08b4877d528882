/** How long another process may hold the package manager's locks, ms, and how often it is asked again. */
const limits = { deadlineMs: 600_000, pauseMs: 2_000 };

/**
 * apt-get and dpkg say so when another process holds a lock: that of dpkg, of its front end, of the package lists or of
 * the archives. `DPkg::Lock::Timeout` does not wait for those of the lists and archives.
 */
const held = /Could not get lock|Unable to (acquire|lock)|is another process using it|held by process/i;

/**
 * Runs `install` (one run of apt-get, as `spawnSync` gives it) again while another process holds a lock. Returns whether it
 * succeeded; `tell` hears why it waits, once, and what the last run complained of.
 */
export function patiently(install, tell, { deadlineMs, pauseMs } = limits) {
  const end = performance.now() + deadlineMs;
  for (let waits = false; ; waits = true) {
    const { status, stderr } = install();
    if (status === 0) return true;
    if (!held.test(stderr ?? "") || performance.now() >= end) {
      tell((stderr ?? "").trim());
      return false;
    }
    if (!waits) tell("another process holds the package manager's lock: waiting for it");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pauseMs);
  }
}
