import { describe } from "vitest";
import { closingFacts, stoppingFacts } from "./transport-closing.ts";
import { floodFacts } from "./transport-floods.ts";
import { flowFacts } from "./transport-flow.ts";
import { frameFacts, handshakeFacts, limitFacts, lostConnectionFacts } from "./transport-frames.ts";
import { bombFacts, framingFacts, refusalFacts, slowFacts } from "./transport-framing.ts";
import { connectionFacts, requestFacts, responseFacts } from "./transport-http.ts";
import { factsOf, type TransportUnderTest } from "./transport-rig.ts";
import { faultFacts, messageFacts, upgradeFacts } from "./transport-sockets.ts";

/** What every transport guarantees to a gateway, and what those on TCP guarantee to a network of strangers. */
export function transportContract(subject: TransportUnderTest): void {
  const { fact, done } = factsOf(subject);
  describe(`${subject.name} transport`, () => {
    describe("messages", () => messageFacts(fact));
    describe("upgrade", () => upgradeFacts(fact));
    describe("closing", () => closingFacts(fact));
    describe("stopping", () => stoppingFacts(fact));
    describe("back-pressure", () => flowFacts(fact));
    describe("faults", () => faultFacts(fact));
    if (subject.capabilities.tcp) {
      describe("frames", () => frameFacts(fact));
      describe("limits", () => limitFacts(fact));
      describe("handshake", () => handshakeFacts(fact));
      describe("lost connections", () => lostConnectionFacts(fact));
      describe("requests", () => requestFacts(fact));
      describe("responses", () => responseFacts(fact));
      describe("HTTP connections", () => connectionFacts(fact));
      describe("framing", () => framingFacts(fact));
      describe("refusals", () => refusalFacts(fact));
      describe("header bombs", () => bombFacts(fact));
      describe("floods of HTTP", () => floodFacts(fact));
      describe("slow strangers", () => slowFacts(fact));
    }
    describe("contract", done);
  });
}
