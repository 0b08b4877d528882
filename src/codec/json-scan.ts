import { limits } from "../../protocol/features.ts";
import { invalidPayload } from "./plain-data.ts";

const QUOTE = 0x22;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

export interface JsonScan {
  /** Members of all objects together, as they are written: a repeated key counts each time. */
  readonly members: number;
  /** The text has a backslash, so its strings may differ from how they are written. */
  readonly escaped: boolean;
}

/**
 * One pass over the text before JSON.parse may recurse into it, or make objects of many members. NOT yet verified: that it is JSON. Nothing needs that:
 * up to the first fault JSON.parse sees the same nesting, and there it stops.
 *
 * Strings are jumped over with indexOf, which reads a long token sixteen characters at a time.
 */
export function scanJson(text: string, maxMembers: number): JsonScan {
  let depth = 0;
  let members = 0;
  let backslash = nextBackslash(text, 0);
  const escaped = backslash !== Number.POSITIVE_INFINITY;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE: {
        let quote = nextQuote(text, at + 1);
        // An escape that begins before the quote may take it in; what follows the escape is looked at anew.
        while (backslash < quote) {
          const after = backslash + 2;
          if (quote < after) quote = nextQuote(text, after);
          backslash = nextBackslash(text, after);
        }
        at = quote;
        break;
      }
      case COLON:
        members++;
        if (members > maxMembers) throw invalidPayload("too many members");
        break;
      case OPEN_BRACKET:
      case OPEN_BRACE:
        depth++;
        if (depth > limits.depth) throw invalidPayload("nested too deeply");
        break;
      case CLOSE_BRACKET:
      case CLOSE_BRACE:
        depth--;
        break;
    }
  }
  return { members, escaped };
}

function nextQuote(text: string, from: number): number {
  const at = text.indexOf('"', from);
  if (at < 0) throw invalidPayload("string without an end");
  return at;
}

function nextBackslash(text: string, from: number): number {
  const at = text.indexOf("\\", from);
  return at < 0 ? Number.POSITIVE_INFINITY : at;
}
