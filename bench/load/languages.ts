/** What a client sends on an authenticated socket, repeatedly. One for each socket: it counts ids and keeps tokens. */
export interface Speaker {
  next(): string;
  /**
   * True if the text is the correct answer to the last message; false if it is another message. Throws on a refusal.
   */
  isAnswer(text: string): boolean;
}

/** `secret` is what a speaker needs in addition to an authenticated socket: its refresh token. */
export type Language = (secret: string) => Speaker;

/** What is sent, by the message's number, and the beginning of its answer. */
function numbered(ask: (n: number) => string, answer: (n: number) => string, first = 1): Language {
  return () => {
    let n = first - 1;
    return {
      next() {
        n += 1;
        return ask(n);
      },
      isAnswer: (text) =>
        text.startsWith(answer(n)) || refused(text, `"id":${n},"type":"result","success":false`),
    };
  };
}

function refused(text: string, sign: string): false {
  if (text.includes(sign)) throw new Error(`refused: ${text.slice(0, 300)}`);
  return false;
}

/** Keeps the newest refresh token, as a client of a rotating session must. */
function refreshing(refreshToken: string): Speaker {
  let newest = refreshToken;
  let id = 0;
  return {
    next() {
      id += 1;
      return `{"id":${id},"type":"auth/refresh","refresh_token":"${newest}"}`;
    },
    isAnswer(text) {
      const sign = `{"id":${id},"type":"result","success":`;
      if (!text.startsWith(`${sign}true`)) return refused(text, `${sign}false`);
      newest = /"refresh_token":"([^"]+)"/.exec(text)?.[1] ?? newest;
      return true;
    },
  };
}

const languages: Readonly<Record<string, Language>> = {
  "auth/refresh": refreshing,
  ping: numbered(
    (id) => `{"id":${id},"type":"ping"}`,
    (id) => `{"id":${id},"type":"pong"}`,
  ),
  "auth/current_user": numbered(
    (id) => `{"id":${id},"type":"auth/current_user"}`,
    (id) => `{"id":${id},"type":"result","success":true`,
  ),
  /** Socket.IO's event with an acknowledgement. */
  "socket-io": numbered(
    (id) => `42${id}["ping"]`,
    (id) => `43${id}["pong"]`,
  ),
  /** SocketCluster's `invoke`. The handshake was call 1. */
  socketcluster: numbered(
    (cid) => `{"event":"ping","cid":${cid}}`,
    (cid) => `{"rid":${cid},"data":"pong"}`,
    2,
  ),
  /** One query. Its answer is `next`, followed by `complete`. */
  "graphql-ws": numbered(
    (id) => `{"id":"${id}","type":"subscribe","payload":{"query":"{ ping }"}}`,
    (id) => `{"id":"${id}","type":"next","payload":{"data":{"ping":"pong"}}}`,
  ),
};

export function languageOf(name: string): Language {
  const language = languages[name];
  if (language === undefined) throw new Error(`no language ${name}`);
  return language;
}
