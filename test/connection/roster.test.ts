import { describe, expect, it } from "vitest";

import { Roster } from "../../src/connection/roster.ts";
import { noSeat } from "../../src/connection/seats.ts";

const limits = { sockets: 10_000, unauthenticated: 5000, unauthenticatedPerAddress: 2 };
const member = () => ({ seat: noSeat });
const placeOf = (nth: number) => `10.${nth >> 16}.${(nth >> 8) & 255}.${nth & 255}`;

describe("the roster", () => {
  it("remembers a bounded number of places, however many strangers have come and gone", () => {
    const roster = new Roster(limits);
    let most = 0;
    for (let nth = 0; nth < 10_000; nth += 1) {
      const passer = member();
      roster.enter(passer, placeOf(nth));
      most = Math.max(most, roster.places);
      if (nth % 2 === 0) roster.authenticated(placeOf(nth));
      roster.leave(passer, placeOf(nth), nth % 2 === 0);
    }
    expect(most).toBeGreaterThan(1000);
    expect(most).toBeLessThanOrEqual(1026);
    expect([roster.sockets, roster.unauthenticated]).toEqual([0, 0]);
  });

  it("forgets no place that has a stranger, whoever passes meanwhile", () => {
    const roster = new Roster(limits);
    const strangers = Array.from({ length: 300 }, (_, nth) => ({ stranger: member(), place: placeOf(nth) }));
    for (const { stranger, place } of strangers) roster.enter(stranger, place);
    for (const { place } of strangers) roster.enter(member(), place);
    for (let nth = 1000; nth < 6000; nth += 1) {
      const passer = member();
      roster.enter(passer, placeOf(nth));
      roster.leave(passer, placeOf(nth), false);
      expect(roster.places).toBeLessThanOrEqual(600 + 1026);
    }
    expect(strangers.map(({ place }) => roster.roomFor(place))).toEqual(strangers.map(() => "address_full"));
    for (const { stranger, place } of strangers) roster.leave(stranger, place, false);
    expect(strangers.map(({ place }) => roster.roomFor(place))).toEqual(strangers.map(() => "free"));
  });
});
