/** How a POST of a form ended. */
export type FormAnswer =
  | { readonly kind: "answer"; readonly status: number; readonly body: Readonly<Record<string, unknown>> }
  | { readonly kind: "lost" };

/** Posts a form. Without a complete answer in time the result is `lost`: the request may have been carried out. */
export async function postForm(
  port: number,
  path: string,
  fields: Readonly<Record<string, string>>,
  deadlineMs = 5_000,
): Promise<FormAnswer> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
      method: "POST",
      body: new URLSearchParams(fields),
      signal: AbortSignal.timeout(deadlineMs),
    });
    const text = await answer.text();
    const body = text === "" ? {} : (JSON.parse(text) as Readonly<Record<string, unknown>>);
    return { kind: "answer", status: answer.status, body };
  } catch {
    return { kind: "lost" };
  }
}
