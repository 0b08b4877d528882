import { PublishRequest } from "../../protocol/http.ts";
import { AuthError } from "../auth/errors.ts";
import { compileValidator } from "../connection/validator.ts";

const requestShape = compileValidator(PublishRequest);
const messageShape = compileValidator(PublishRequest.properties.messages.items);

/** Throws `invalid_format`, with a text that names the message and the field. */
export function requirePublishRequest(body: unknown): asserts body is PublishRequest {
  const problem = requestShape(body);
  if (problem === undefined) return;
  const messages = typeof body === "object" && body !== null && "messages" in body ? body.messages : [];
  const listed: readonly unknown[] = Array.isArray(messages) ? messages : [];
  const place = listed.findIndex((message) => messageShape(message) !== undefined);
  const ofMessage = place === -1 ? undefined : `messages[${place}]: ${messageProblem(listed[place])}`;
  throw new AuthError("invalid_format", { publicMessage: ofMessage ?? problem });
}

/** The schema's own text is the regular expression of topics. */
function messageProblem(message: unknown): string {
  const problem = messageShape(message) ?? "";
  return problem.startsWith("topic: ") ? "topic: Not a topic." : problem;
}
