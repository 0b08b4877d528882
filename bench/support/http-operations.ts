import type { Post, PostsJob } from "../load/posts.ts";
import type { Child } from "./child.ts";
import type { Contestant } from "./turns.ts";

export interface HttpOperation {
  readonly name: string;
  readonly server: Child;
  readonly post: Post;
  /** One request for each in a round. */
  readonly tokens: readonly string[];
  readonly inFlight: number;
  /** Each answer has another refresh token, which the next round sends. */
  readonly rotates?: boolean;
  /** What every answer must have. */
  readonly contains?: string;
}

interface Done {
  readonly seconds: number;
  readonly kept: readonly string[];
}

/** `posters` is the load generator `posts`. */
export function httpContestant(posters: Child, operation: HttpOperation): Contestant {
  const { name, server, post, inFlight, rotates = false, contains } = operation;
  let tails = operation.tokens;
  return {
    name,
    server,
    async run() {
      const job: PostsJob = {
        ...post,
        port: server.port,
        tails,
        inFlight,
        ...(rotates ? { keep: "refresh_token" } : {}),
        ...(contains === undefined ? {} : { contains }),
      };
      const { seconds, kept } = await posters.ask<Done>("posts", job);
      if (rotates) tails = kept;
      return { operations: tails.length, seconds };
    },
  };
}
