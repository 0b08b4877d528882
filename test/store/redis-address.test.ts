import { describe, expect, it } from "vitest";

import { parseRedisUrl } from "../../src/store/redis/address.ts";
import { faultOf } from "../../src/store/redis/faults.ts";
import { redisKeys } from "../../src/store/redis/keys.ts";
import { comparePositions } from "../../src/store/redis/log-stream.ts";

describe("parseRedisUrl", () => {
  it.each([
    [
      "redis://127.0.0.1",
      { mode: "standalone", tls: false, hosts: [{ host: "127.0.0.1", port: 6379 }], db: 0 },
    ],
    ["redis://h:7000/3", { hosts: [{ host: "h", port: 7000 }], db: 3 }],
    ["rediss://h/", { tls: true, mode: "standalone" }],
    ["redis://[::1]:6380", { hosts: [{ host: "::1", port: 6380 }] }],
    ["redis://:p%40ss@h", { username: undefined, password: "p@ss" }],
    ["redis://user:pa:ss@h", { username: "user", password: "pa:ss" }],
    [
      "redis+sentinel://a:1,b,[::1]:3/main/2",
      {
        mode: "sentinel",
        primary: "main",
        db: 2,
        hosts: [
          { host: "a", port: 1 },
          { host: "b", port: 26379 },
          { host: "::1", port: 3 },
        ],
      },
    ],
    [
      "rediss+sentinel://u:p@a/main?sentinel_username=su&sentinel_password=s%26p",
      { tls: true, username: "u", password: "p", sentinelUsername: "su", sentinelPassword: "s&p" },
    ],
    ["redis+cluster://a:1,b:2", { mode: "cluster", hosts: [{ port: 1 }, { port: 2 }] }],
  ])("reads %s", (url, expected) => {
    expect(parseRedisUrl(url)).toMatchObject(expected);
  });

  it.each([
    "http://h",
    "redis://",
    "redis:h",
    "redis://h:0",
    "redis://h:70000",
    "redis://h:x",
    "redis://a,b",
    "redis://h/x",
    "redis://h/1/2",
    "redis://h/-1",
    "redis://h?x=1",
    "redis+sentinel://h",
    "redis+cluster://h/1",
    "redis://s3cret%zz:s3cret@h",
    "redis://u:s3cret@h:99999",
    "redis+sentinel://u:s3cret@h/main?s3cret=1",
  ])("refuses %s, without repeating it", (url) => {
    expect(() => parseRedisUrl(url)).toThrow(/store URL|Cluster/);
    expect(() => parseRedisUrl(url)).not.toThrow(/s3cret/);
  });

  it("masks user, password and Sentinel password", () => {
    const { masked } = parseRedisUrl("redis+sentinel://u:s3cret@h:1/main?sentinel_password=s3cret");
    expect(masked).toBe("redis+sentinel://***@h:1/main");
  });
});

describe("faultOf", () => {
  it.each([
    ["READONLY You can't write against a read only replica.", "READONLY: this is a replica now"],
    ["OOM command not allowed when used memory > 'maxmemory'.", "OOM: out of memory (maxmemory reached)"],
    ["NOREPLICAS Not enough good replicas to write.", /^NOREPLICAS: not enough replicas/],
    ["LOADING Redis is loading the dataset in memory", "LOADING: still loading its data"],
    ["BUSY Redis is busy running a script.", "BUSY: busy with a script"],
    ["MISCONF Redis is configured to save RDB snapshots", /^MISCONF: cannot persist/],
    ["Command timed out", "no answer in time"],
    ["Stream isn't writeable and enableOfflineQueue options is false", "no connection"],
    ["Connection is closed.", "no connection"],
    ["Reached the max retries per request limit (which is 0). Refer to", "no connection"],
  ])("explains %s", (message, expected) => {
    expect(faultOf(new Error(message))).toMatch(expected);
  });
});

describe("redisKeys", () => {
  it("gives every name the same hash tag", () => {
    const keys = redisKeys("a.b");
    const names = [keys.commits, keys.log, keys.record("user:1" as never), keys.index("users" as never)];
    expect(names).toEqual(["a.b:{gh}:commits", "a.b:{gh}:log", "a.b:{gh}:r:user:1", "a.b:{gh}:i:users"]);
  });

  it.each(["", "a{b}", "a b", "x".repeat(65)])("refuses the prefix %j", (prefix) => {
    expect(() => redisKeys(prefix)).toThrow("prefix");
  });
});

describe("comparePositions", () => {
  it("compares time first, then the part, as numbers", () => {
    const ordered = ["9-1", "10-0", "10-2", "10-10", "1700000000000-0"];
    expect([...ordered].reverse().sort(comparePositions)).toEqual(ordered);
    expect(comparePositions("10-2", "10-2")).toBe(0);
  });
});
