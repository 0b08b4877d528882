import { hash } from "node:crypto";

/** RFC 6455 section 1.3. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** The answer to an upgrade that is accepted. `key` and `subprotocol` are checked and go into the header as they are. */
export function switchingProtocols(key: string, subprotocol: string | undefined): string {
  const protocol = subprotocol === undefined ? "" : `Sec-WebSocket-Protocol: ${subprotocol}\r\n`;
  const accept = hash("sha1", key + GUID, "base64");
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${protocol}\r\n`;
}
