import { afterEach, describe, expect, it, vi } from "vitest";

import { LogoutDelivery, type LogoutNotice } from "../../../src/auth/oauth/logout-delivery.ts";

const notices = (clientId: string, count: number): readonly LogoutNotice[] =>
  Array.from({ length: count }, (_, nth) => ({ clientId, userId: `user${nth}`, sessionId: null }));

let delivery: LogoutDelivery;
afterEach(() => delivery.close());

/** Clients whose name begins with `dead` never answer. */
function start() {
  const [tried, taken, givenUp]: string[][] = [[], [], []];
  delivery = new LogoutDelivery({
    async deliver({ clientId }) {
      tried?.push(clientId);
      if (clientId.startsWith("dead")) await new Promise(() => undefined);
      taken?.push(clientId);
    },
    onFault: (_, clientId) => void givenUp?.push(clientId),
    delaysMs: [1],
  });
  return { tried, taken, givenUp };
}

describe("notices", () => {
  it("reach other clients while some that have many do not answer", async () => {
    const { tried, taken } = start();
    for (const dead of ["dead1", "dead2", "dead3"]) delivery.add(notices(dead, 100));
    delivery.add(notices("well", 20));
    await vi.waitFor(() => expect(taken).toHaveLength(20));
    expect(tried?.filter((id) => id === "dead1")).toHaveLength(2);
  });

  it("are given up above a number for each client, which takes no room from others", async () => {
    const { taken, givenUp } = start();
    delivery.add(notices("dead", 5_010));
    expect(givenUp).toEqual(Array.from({ length: 8 }, () => "dead"));
    delivery.add(notices("well", 1));
    await vi.waitFor(() => expect(taken).toEqual(["well"]));
  });

  it("are given up above a number for all clients together", () => {
    const { givenUp } = start();
    for (let nth = 0; nth < 5; nth += 1) delivery.add(notices(`dead${nth}`, 4_500));
    expect(givenUp).toHaveLength(5 * 4_500 - 5 * 2 - 20_000);
  });
});
