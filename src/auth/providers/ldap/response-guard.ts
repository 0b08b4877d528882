/** Most bytes of one message and of a whole connection, most messages, and most elements of one message. */
const limits = { message: 256 * 1024, connection: 1024 * 1024, messages: 2_000, elements: 10_000 };

const tag = {
  integer: 0x02,
  octets: 0x04,
  enumerated: 0x0a,
  sequence: 0x30,
  set: 0x31,
  bindResponse: 0x61,
  searchEntry: 0x64,
  searchDone: 0x65,
  searchReference: 0x73,
  extendedResponse: 0x78,
} as const;

/** One BER element: where its content is. */
interface Element {
  readonly tag: number;
  readonly from: number;
  readonly to: number;
}

/**
 * Cuts what a directory sends into messages (RFC 4511 section 4.1.1) and checks their structure before the LDAP
 * library reads them: its parser waits for garbage until a timeout, calls itself once for each message of a chunk,
 * and need not end on lengths that contradict each other. References to other servers and controls are left out,
 * because nobody asked for them.
 */
export class ResponseGuard {
  readonly #deliver: (message: Buffer) => void;
  #rest: Buffer = Buffer.alloc(0);
  #chunks: Buffer[] = [];
  #waiting = 0;
  /** Bytes that `#rest` and `#chunks` must have before a look is worth it. */
  #needed = 2;
  #bytes = 0;
  #messages = 0;

  constructor(deliver: (message: Buffer) => void) {
    this.#deliver = deliver;
  }

  /** Bytes of a message that is not complete. */
  get incomplete(): boolean {
    return this.#waiting > 0;
  }

  /** Throws RangeError if this is not LDAP, or too much. */
  read(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > limits.connection) throw new RangeError("it sent too much");
    this.#chunks.push(chunk);
    this.#waiting += chunk.length;
    if (this.#waiting < this.#needed) return;
    let buffer = Buffer.concat([this.#rest, ...this.#chunks]);
    this.#chunks = [];
    for (;;) {
      const element = headerAt(buffer, 0, undefined);
      if (element === undefined) {
        this.#needed = buffer.length + 1;
        break;
      }
      if (element.tag !== tag.sequence) throw malformed();
      if (element.to > limits.message) throw new RangeError("it sent too large a message");
      if (element.to > buffer.length) {
        this.#needed = element.to;
        break;
      }
      this.#take(buffer, element);
      buffer = buffer.subarray(element.to);
    }
    this.#rest = buffer;
    this.#waiting = buffer.length;
  }

  #take(buffer: Buffer, { from, to }: Element): void {
    this.#messages += 1;
    if (this.#messages > limits.messages) throw new RangeError("it sent too many messages");
    const [id, operation] = childrenOf(buffer, { from, to });
    if (id?.tag !== tag.integer || id.to - id.from > 4 || operation === undefined) throw malformed();
    const checked = checkedOperation(buffer, operation);
    if (checked !== undefined)
      this.#deliver(
        element(tag.sequence, [element(tag.integer, [buffer.subarray(id.from, id.to)]), checked]),
      );
  }
}

/** The operation as it may be read; undefined if it is to be left out. */
function checkedOperation(buffer: Buffer, operation: Element): Buffer | undefined {
  switch (operation.tag) {
    case tag.bindResponse:
    case tag.searchDone:
    case tag.extendedResponse:
      return resultOf(buffer, operation);
    case tag.searchEntry:
      checkEntry(buffer, operation);
      return element(operation.tag, [buffer.subarray(operation.from, operation.to)]);
    case tag.searchReference:
      return undefined;
    default:
      throw malformed();
  }
}

/** LDAPResult without what may follow it (referrals, SASL credentials, a response's value). */
function resultOf(buffer: Buffer, operation: Element): Buffer {
  const [code, matched, text] = childrenOf(buffer, operation);
  if (code?.tag !== tag.enumerated || code.to - code.from !== 1) throw malformed();
  if (matched?.tag !== tag.octets || text?.tag !== tag.octets) throw malformed();
  const parts = [code, matched, text].map((part) => element(part.tag, [buffer.subarray(part.from, part.to)]));
  return element(operation.tag, parts);
}

/** Throws unless it is a name and a sequence of attributes, each a name and a set of values. */
function checkEntry(buffer: Buffer, operation: Element): void {
  const [name, attributes, ...others] = childrenOf(buffer, operation);
  if (name?.tag !== tag.octets || attributes?.tag !== tag.sequence || others.length > 0) throw malformed();
  let elements = 0;
  for (const attribute of childrenOf(buffer, attributes)) {
    const [type, values, ...more] = attribute.tag === tag.sequence ? childrenOf(buffer, attribute) : [];
    if (type?.tag !== tag.octets || values?.tag !== tag.set || more.length > 0) throw malformed();
    const found = childrenOf(buffer, values);
    elements += 1 + found.length;
    if (elements > limits.elements) throw new RangeError("it sent an entry with too many values");
    if (found.some((value) => value.tag !== tag.octets)) throw malformed();
  }
}

function childrenOf(buffer: Buffer, { from, to }: Pick<Element, "from" | "to">): readonly Element[] {
  const children: Element[] = [];
  for (let at = from; at < to; ) {
    const child = headerAt(buffer, at, to);
    if (child === undefined || child.to > to) throw malformed();
    children.push(child);
    if (children.length > limits.elements) throw new RangeError("it sent an entry with too many values");
    at = child.to;
  }
  return children;
}

/** The element at a place; undefined if its header is not complete. `end`: where its parent ends. */
function headerAt(buffer: Buffer, at: number, end: number | undefined): Element | undefined {
  const limit = end ?? buffer.length;
  const [first, second] = [buffer[at], buffer[at + 1]];
  if (first === undefined || second === undefined || at + 2 > limit) return undefined;
  // A tag of several bytes, or a length without an end: neither is in LDAP (RFC 4511 section 5.1).
  if ((first & 0x1f) === 0x1f || second === 0x80 || second > 0x84) throw malformed();
  if (second < 0x80) return { tag: first, from: at + 2, to: at + 2 + second };
  const bytes = second & 0x7f;
  const from = at + 2 + bytes;
  if (from > limit) return undefined;
  return { tag: first, from, to: from + buffer.readUIntBE(at + 2, bytes) };
}

function element(name: number, parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const head = Buffer.alloc(length < 0x80 ? 2 : 6);
  head[0] = name;
  if (length < 0x80) head[1] = length;
  else {
    head[1] = 0x84;
    head.writeUInt32BE(length, 2);
  }
  return Buffer.concat([head, ...parts]);
}

function malformed(): RangeError {
  return new RangeError("what it sent is not LDAP");
}
