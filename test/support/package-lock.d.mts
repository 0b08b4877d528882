interface Run {
  readonly status: number | null;
  readonly stderr?: string | null;
}
export function patiently(
  install: () => Run,
  tell: (text: string) => void,
  limits?: { readonly deadlineMs: number; readonly pauseMs: number },
): boolean;
