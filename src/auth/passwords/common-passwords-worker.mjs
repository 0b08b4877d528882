// Reads the list of common passwords, in a thread of its own: the package decompresses its lists when it is loaded, which takes
// 0.1 s. Plain JavaScript, because a worker thread runs it the same from sources and from dist.
import { parentPort } from "node:worker_threads";

import { dictionary } from "@zxcvbn-ts/language-common";

const listed = dictionary["passwords-common"].map((password) => String(password).toLowerCase());
const bytes = new TextEncoder().encode(`\n${listed.join("\n")}\n`);
parentPort?.postMessage(bytes, [bytes.buffer]);
