/**
 * Variables with which a Node process opens its connections from that address of the loopback network, so that the
 * other side can distinguish it from other processes of this machine.
 */
export function connectFrom(address: string): Readonly<Record<string, string>> {
  const program = `
    import { Socket } from "node:net";
    const connect = Socket.prototype.connect;
    Socket.prototype.connect = function (...args) {
      const options = Array.isArray(args[0]) ? args[0][0] : args[0];
      if (options?.port !== undefined) options.localAddress ??= ${JSON.stringify(address)};
      return connect.apply(this, args);
    };`;
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(program)}` };
}
