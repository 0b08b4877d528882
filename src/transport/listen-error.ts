const words: Readonly<Record<string, string>> = {
  EADDRINUSE: "is in use",
  EACCES: "needs more rights than this process has",
  EADDRNOTAVAIL: "cannot be had: the host is not an address of this machine",
  ENOTFOUND: "cannot be had: the host is not known",
};

/** The error of a listener that did not get its port, in words: "port 8123 is in use". */
export function listenError(host: string, port: number, cause: unknown): Error {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const why = words[code] ?? `cannot be had (${code === "" ? "no reason given" : code})`;
  return new Error(`port ${port} ${why}${code === "EADDRINUSE" ? "" : ` (host ${host})`}`, { cause });
}
