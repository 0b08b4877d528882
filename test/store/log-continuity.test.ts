import { describe, expect, it } from "vitest";
import { LogContinuity } from "../../src/store/redis/log-continuity.ts";
import { contentOf, entriesOf, type StreamInfo } from "../../src/store/redis/log-stream.ts";

const entries = (...ids: readonly string[]) =>
  entriesOf(ids.map((id) => [id, ["v", "1", "e", `{"id":"${id}"}`]]));
const content = (id: string) => contentOf(1, `{"id":"${id}"}`);
const size = (info: Partial<StreamInfo>): StreamInfo => ({
  lastPosition: "9-0",
  firstPosition: "1-0",
  added: 9,
  trimmed: 0,
  ...info,
});

describe("the continuity of a log", () => {
  const traceAt = (...ids: readonly string[]) => {
    const continuity = new LogContinuity(0);
    continuity.markDelivered(entries(...ids));
    return continuity;
  };
  const look = (continuity: LogContinuity, found: readonly string[], atEnd = true) =>
    continuity.examine(entries(...found), { asked: continuity.now, atEnd }).kind;

  it("takes an acknowledgement that is read after its entry was delivered", () => {
    const continuity = traceAt("1-0", "2-0");
    continuity.acknowledge("1-0", content("1-0"));
    continuity.acknowledge("2-0", content("2-0"));
    expect(look(continuity, ["2-0", "3-0"])).toBe("continuous");
  });

  it("reports a log as lost that delivered another entry at an acknowledged position, or passed it", () => {
    const other = traceAt("1-0", "2-0");
    other.acknowledge("1-0", "5|{}");
    expect(look(other, ["2-0"])).toBe("lost");
    const passedBy = traceAt("1-0", "3-0");
    passedBy.acknowledge("2-0", content("2-0"));
    expect(look(passedBy, ["3-0"], false)).toBe("lost");
  });

  it("waits for an acknowledged entry that is still to come, up to the end of the log", () => {
    const continuity = traceAt("1-0");
    continuity.acknowledge("4-0", content("4-0"));
    expect(look(continuity, ["1-0", "2-0"], false)).toBe("continuous");
    expect(look(continuity, ["1-0", "2-0"], true)).toBe("lost");
    expect(look(continuity, ["1-0", "2-0", "4-0"], true)).toBe("continuous");
  });

  it("does not expect in an answer what was acknowledged after the question", () => {
    const continuity = traceAt("1-0");
    const asked = continuity.now;
    continuity.acknowledge("4-0", content("4-0"));
    expect(continuity.examine(entries("1-0"), { asked, atEnd: true }).kind).toBe("continuous");
  });

  it("does not wait for entries from before its start", () => {
    const continuity = new LogContinuity(5);
    continuity.acknowledge("4-0", content("4-0"));
    expect(look(continuity, [])).toBe("continuous");
  });

  it("counts the log as lost if more was acknowledged than it can remember", () => {
    const continuity = traceAt("1-0");
    for (let n = 0; n <= 20_000; n += 1) continuity.acknowledge(`2-${n}`, "1|{}");
    expect(continuity.examine(entries("1-0"), { asked: 0, atEnd: false }).kind).toBe("lost");
    continuity.startOver();
    expect(look(continuity, ["1-0"])).toBe("continuous");
  });

  it("reports `trimmed` only if it can be the same log", () => {
    const continuity = traceAt("1-0", "2-0", "3-0");
    expect(look(continuity, ["5-0"])).toBe("gone");
    const trimmed = { firstPosition: "5-0", trimmed: 4 };
    expect(continuity.explainBreak(size(trimmed))).toBe("trimmed");
    expect(continuity.explainBreak(size({ ...trimmed, trimmed: 0 }))).toBe("lost");
    expect(continuity.explainBreak(size({ ...trimmed, added: 2 }))).toBe("lost");
    expect(continuity.explainBreak(size({ ...trimmed, lastPosition: "2-5" }))).toBe("lost");
    expect(continuity.explainBreak(size({ ...trimmed, firstPosition: "2-0" }))).toBe("lost");
  });

  it("after `trimmed` continues after its position, and does not ask again for what is gone", () => {
    const continuity = traceAt("1-0");
    continuity.acknowledge("2-0", content("2-0"));
    continuity.acknowledge("6-0", content("6-0"));
    continuity.skip(size({ firstPosition: "5-0", trimmed: 4 }));
    expect(continuity.rangeStart).toBe("(1-0");
    expect(look(continuity, ["5-0", "6-0"])).toBe("continuous");
    expect(look(continuity, ["5-0"])).toBe("lost");
  });
});
