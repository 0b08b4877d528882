import { limits } from "../../protocol/features.ts";
import { invalidPayload } from "./plain-data.ts";

const QUOTE = 0x22;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

export interface JsonScan {
  /** Members of all objects together, as written: a repeated key counts each time. */
  readonly members: number;
  /** The text has a backslash, so decoded strings may differ from the text. */
  readonly escaped: boolean;
}

/**
 * One pass over the text before JSON.parse recurses into it or creates objects with many members. The text may
 * be no JSON: JSON.parse refuses it afterwards, and sees the same nesting up to the first error.
 *
 * Strings are skipped with indexOf, which reads a long token sixteen characters at a time.
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
        // An escape that begins before the quote may include it; scan again after the escape.
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
  if (at < 0) throw invalidPayload("unterminated string");
  return at;
}

function nextBackslash(text: string, from: number): number {
  const at = text.indexOf("\\", from);
  return at < 0 ? Number.POSITIVE_INFINITY : at;
}
