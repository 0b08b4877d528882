/** How a client of one kind subscribes and publishes on an authenticated socket. */
export interface FanOutLanguage {
  /** The frame that subscribes. `id` rises with every message of the socket. */
  subscribe(id: number, topic: string): string;
  /** What the frame that confirms it holds. */
  readonly subscribed: string;
  publish(id: number, topic: string, data: string): string;
  /** What an idle client must send once a minute. */
  readonly heartbeat?: string;
}

const socketIo: FanOutLanguage = {
  subscribe: (_, topic) => `421${JSON.stringify(["subscribe", topic])}`,
  subscribed: "431[",
  publish: (_, topic, data) => `42["publish","${topic}",${data}]`,
};

const length16 = (text: string) => String.fromCharCode(text.length >> 8, text.length & 255) + text;

/** The variable length of an MQTT packet (section 2.2.3), then the packet. */
function mqttPacket(type: number, body: string): string {
  let head = String.fromCharCode(type);
  let left = body.length;
  do {
    const digit = left & 127;
    left >>= 7;
    head += String.fromCharCode(left > 0 ? digit | 128 : digit);
  } while (left > 0);
  return head + body;
}

const languages: Readonly<Record<string, FanOutLanguage>> = {
  /** The bare libraries speak Gatehouse's messages. */
  bare: {
    subscribe: (id, topic) => `{"id":${id},"type":"subscribe","topic":"${topic}"}`,
    subscribed: '"success":true',
    publish: (id, topic, data) => `{"id":${id},"type":"publish","topic":"${topic}","data":${data}}`,
  },
  gatehouse: {
    subscribe: (id, topic) => `{"id":${id},"type":"gatehouse/topics/subscribe","pattern":"${topic}"}`,
    subscribed: '"success":true',
    publish: (id, topic, data) =>
      `{"id":${id},"type":"gatehouse/topics/publish","topic":"${topic}","data":${data}}`,
  },
  "socket-io": socketIo,
  nats: {
    subscribe: (id, topic) => `SUB ${topic} ${id}\r\nPING\r\n`,
    subscribed: "PONG",
    publish: (_, topic, data) => `PUB ${topic} ${data.length}\r\n${data}\r\n`,
  },
  /** SUBSCRIBE with quality of service 0, its SUBACK, and PUBLISH (sections 3.8, 3.9, 3.3). */
  mosquitto: {
    subscribe: (id, topic) => mqttPacket(0x82, `\u0000${String.fromCharCode(id)}${length16(topic)}\u0000`),
    subscribed: "\u0090\u0003\u0000",
    publish: (_, topic, data) => mqttPacket(0x30, length16(topic) + data),
    heartbeat: mqttPacket(0xc0, ""),
  },
};

export function fanOutLanguageOf(name: string): FanOutLanguage {
  const language = languages[name];
  if (language === undefined) throw new Error(`no language ${name}`);
  return language;
}
