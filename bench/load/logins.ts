// The load generator for password logins: each on a socket of its own, step by step, until `auth_ok`.

import { answer } from "../support/answering.ts";
import { latencies } from "../support/figures.ts";
import { RawSocket, textFrame } from "./raw-socket.ts";

export interface LoginsJob {
  readonly port: number;
  readonly username: string;
  readonly password: string;
  readonly count: number;
  readonly inFlight: number;
}

const START = textFrame('{"id":1,"type":"auth/login/start","handler":["homeassistant",null]}');
let opened = 0;

interface Message {
  readonly id?: number;
  readonly type: string;
  readonly success?: boolean;
  readonly result?: { readonly type: string; readonly flow_id: string };
}

/** Resolves at `auth_ok`; then the socket is dropped. */
function login({ port, username, password }: LoginsJob): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = new RawSocket({ port, path: "/api/websocket" }, opened++);
    const fail = (what: string) => {
      socket.destroy();
      reject(new Error(what));
    };
    socket.onOpen = () => socket.send(START);
    socket.onClose = (code, fault) => fail(`closed with ${fault ?? code} before auth_ok`);
    socket.onText = (text) => {
      const message = JSON.parse(text) as Message;
      if (message.type === "auth_ok") {
        socket.destroy();
        resolve();
      } else if (message.success === false) {
        fail(`refused: ${text.slice(0, 300)}`);
      } else if (message.id === 1 && message.result?.type === "form") {
        const { flow_id } = message.result;
        const step = { id: 2, type: "auth/login/step", flow_id, user_input: { username, password } };
        socket.send(textFrame(JSON.stringify(step)));
      } else if (message.id === 2 && message.result?.type !== "create_entry") {
        fail(`no session: ${text.slice(0, 300)}`);
      }
    };
  });
}

async function logins(job: LoginsJob) {
  const took: number[] = [];
  let next = 0;
  const started = performance.now();
  const worker = async () => {
    while (next++ < job.count) {
      const from = performance.now();
      await login(job);
      took.push(performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: job.inFlight }, worker));
  return { seconds: (performance.now() - started) / 1000, latencies: latencies(took) };
}

answer({ port: 0, version: "" }, { logins });
