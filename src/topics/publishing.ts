import { limits as protocolLimits } from "../../protocol/features.ts";
import { isReservedTopic, isTopic } from "../../protocol/topic-pattern.ts";
import { AuthError } from "../auth/errors.ts";
import type { Permissions } from "../auth/permissions/permissions.ts";
import type { LogProgress } from "../auth/revocation/log-progress.ts";
import type { JsonValue } from "../auth/store.ts";
import type { Position, Publication, Publisher, TopicBroker } from "./broker.ts";
import type { TopicsObserver } from "./observer.ts";

export interface PublishingOptions {
  readonly broker: Pick<TopicBroker, "publish">;
  readonly progress: Pick<LogProgress, "newestChange">;
  readonly now: () => number;
  /** Bytes of a message's data as JSON. */
  readonly messageBytes: number;
  readonly observer: Pick<TopicsObserver, "published">;
}

export interface NewMessage {
  readonly topic: string;
  readonly data: JsonValue;
  /** Seconds for which it is the last value of its topic. 0: the last value is removed, for which they need `edit`. */
  readonly retain?: number | undefined;
}

/** How much deeper data is nested when it is delivered: frame, event, and the array of coalesced messages. */
const deliveredDepth = 3;
const maxDepth = protocolLimits.depth - deliveredDepth;

/** Checks what somebody publishes, and hands it to the broker. */
export class Publishing {
  readonly #options: PublishingOptions;

  constructor(options: PublishingOptions) {
    this.#options = options;
  }

  /** Throws `invalid_format` for data that is too large or nested too deep for those who get it. */
  publication(publisher: Publisher, { topic, data, retain }: NewMessage): Publication {
    const { messageBytes, now, progress } = this.#options;
    if (depthOf(data, maxDepth) > maxDepth) throw invalid(`data: Data is nested deeper than ${maxDepth}.`);
    const bytes = Buffer.byteLength(JSON.stringify(data));
    if (bytes > messageBytes) throw invalid(`data: Data has more than ${messageBytes} bytes.`);
    const retainMs = retain === undefined ? undefined : retain * 1000;
    return { topic, data, bytes, time: now(), publisher, rightsVersion: progress.newestChange, retainMs };
  }

  async publish(publications: readonly Publication[]): Promise<readonly Position[]> {
    const positions = await this.#options.broker.publish(publications);
    this.#options.observer.published(publications.length);
    return positions;
  }
}

/** Throws `invalid_format` for what is no topic, and `refusal` if they may not publish to it. */
export function requireControl(
  permissions: Permissions,
  { topic, retain }: Pick<NewMessage, "topic" | "retain">,
  refusal: "unauthorized" | "not_allowed" = "unauthorized",
): void {
  if (!isTopic(topic)) throw invalid("topic: Not a topic.");
  if (isReservedTopic(topic)) throw invalid("topic: Topics that begin with $ are reserved.");
  if (!permissions.mayUseTopic(topic, "control")) throw new AuthError(refusal);
  if (retain === 0 && !permissions.mayUseTopic(topic, "edit")) throw new AuthError(refusal);
}

/** Several messages come at once, so a refusal names the one. */
export function saidOf<Result>(place: number, check: () => Result): Result {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    throw new AuthError(error.code, { publicMessage: `messages[${place}]: ${error.publicMessage}` });
  }
}

/** How deep arrays and objects are nested in plain data; 0 for neither. Counts no further than `limit + 1`. */
function depthOf(value: JsonValue, limit: number): number {
  if (typeof value !== "object" || value === null) return 0;
  if (limit <= 0) return 1;
  let deepest = 0;
  for (const each of Object.values(value) as JsonValue[])
    deepest = Math.max(deepest, depthOf(each, limit - 1));
  return deepest + 1;
}

function invalid(publicMessage: string): AuthError {
  return new AuthError("invalid_format", { publicMessage });
}
