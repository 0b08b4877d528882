import { eventually } from "./eventually.ts";
import { type FaultProxy, startFaultProxy } from "./fault-proxy.ts";
import { type RedisGroup, type RedisServer, startRedis, startSentinel } from "./redis-server.ts";

export interface SplitSentinels extends RedisGroup {
  readonly primary: RedisServer;
  readonly replicas: readonly RedisServer[];
  /**
   * From now on nothing passes between two sides, silently. One side has the primary, this many of the replicas, and
   * what connects from these addresses. The other side has everything else.
   */
  isolatePrimary(side: { readonly replicas: number; readonly sources: readonly string[] }): void;
  heal(): void;
  /** The server that the Sentinels name as the primary. */
  named(): Promise<RedisServer | undefined>;
}

export interface SplitOptions {
  readonly replicas: number;
  /** Additional lines of redis.conf for all servers. */
  readonly config?: readonly string[];
  readonly downAfterMs: number;
}

/** One machine of the network. Others reach its server through a proxy, and know it by its address. */
interface Machine {
  readonly source: string;
  readonly server: RedisServer;
  readonly proxy: FaultProxy;
}

const host = "127.0.0.1";
const sentinelCount = 3;

/**
 * A primary, replicas and three Sentinels that reach each other over a network which can be partitioned. Gateways join
 * with `connectFrom` and an address outside 127.0.1.*.
 */
export async function startSplitSentinels(options: SplitOptions): Promise<SplitSentinels> {
  const machines: Machine[] = [];
  const add = async (start: (lines: readonly string[], proxyPort: number) => Promise<RedisServer>) => {
    const machine = await startMachine(`127.0.1.${machines.length + 1}`, start);
    machines.push(machine);
    return machine;
  };
  const dispose = async () => {
    await Promise.all(machines.map(({ server }) => server.dispose()));
    await Promise.all(machines.map(({ proxy }) => proxy.stop()));
  };
  try {
    const servers = await startServers(options, add);
    const sentinels = await startSentinels(options, servers[0]?.proxy.port ?? 0, add);
    return groupOf({ servers, sentinels, machines, dispose });
  } catch (error) {
    await dispose();
    throw error;
  }
}

type Add = (start: (lines: readonly string[], proxyPort: number) => Promise<RedisServer>) => Promise<Machine>;

async function startMachine(source: string, start: Parameters<Add>[0]): Promise<Machine> {
  const target = { host, port: 0 };
  const proxy = await startFaultProxy(target);
  try {
    const server = await start([`bind-source-addr ${source}`], proxy.port);
    target.port = server.port;
    return { source, server, proxy };
  } catch (error) {
    await proxy.stop();
    throw error;
  }
}

async function startServers({ replicas, config = [] }: SplitOptions, add: Add): Promise<readonly Machine[]> {
  const server = (more: readonly string[]) =>
    add((lines, port) => {
      const announced = [`replica-announce-ip ${host}`, `replica-announce-port ${port}`];
      return startRedis({
        appendonly: true,
        config: [...lines, ...announced, "repl-diskless-sync-delay 0", ...config, ...more],
      });
    });
  const primary = await server([]);
  const others: Machine[] = [];
  for (let nth = 0; nth < replicas; nth += 1)
    others.push(await server([`replicaof ${host} ${primary.proxy.port}`]));
  for (const { server: replica } of others) {
    await eventually("a replica", async () =>
      (await replica.command("INFO", "replication")).includes("master_link_status:up"),
    );
  }
  return [primary, ...others];
}

async function startSentinels(
  { replicas, downAfterMs }: SplitOptions,
  primaryPort: number,
  add: Add,
): Promise<readonly Machine[]> {
  const sentinels: Machine[] = [];
  while (sentinels.length < sentinelCount) {
    const sentinel = await add((lines, port) =>
      startSentinel([
        ...lines,
        ...[`sentinel announce-ip ${host}`, `sentinel announce-port ${port}`],
        `sentinel monitor main ${host} ${primaryPort} 2`,
        `sentinel down-after-milliseconds main ${downAfterMs}`,
        "sentinel failover-timeout main 3000",
        `sentinel parallel-syncs main ${replicas}`,
      ]),
    );
    sentinels.push(sentinel);
  }
  const known = [`num-slaves\\s+${replicas}\\b`, `num-other-sentinels\\s+${sentinelCount - 1}\\b`];
  for (const { server } of sentinels) {
    await eventually("the Sentinels to know each other", async () => {
      const reply = await server.command("SENTINEL", "MASTER", "main");
      return known.every((pattern) => new RegExp(pattern).test(reply));
    });
  }
  return sentinels;
}

interface Parts {
  readonly servers: readonly Machine[];
  readonly sentinels: readonly Machine[];
  readonly machines: readonly Machine[];
  readonly dispose: () => Promise<void>;
}

function groupOf({ servers, sentinels, machines, dispose }: Parts): SplitSentinels {
  const [primary, ...replicas] = servers.map(({ server }) => server);
  if (primary === undefined) throw new RangeError("no primary");
  return {
    primary,
    replicas,
    dispose,
    servers: machines.map(({ server }) => server),
    url: `redis+sentinel://${sentinels.map(({ proxy }) => `${host}:${proxy.port}`).join(",")}/main`,
    isolatePrimary({ replicas: count, sources }) {
      const side = servers.slice(0, 1 + count);
      const inside = new Set([...sources, ...side.map(({ source }) => source)]);
      for (const machine of machines) {
        const isInside = side.includes(machine);
        machine.proxy.separate((source) => inside.has(source) !== isInside);
      }
    },
    heal() {
      for (const { proxy } of machines) proxy.pass();
    },
    async named() {
      const reply = await sentinels[0]?.server.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main");
      const port = Number(reply?.split("\n")[1]);
      return servers.find(({ proxy }) => proxy.port === port)?.server;
    },
  };
}
