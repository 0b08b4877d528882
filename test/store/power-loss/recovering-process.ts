import { problemOf } from "./recovery.ts";

/** Says `right`, or what is wrong. Arguments: folder, what was acknowledged as JSON. */
const [folder = "", acknowledged = "[]"] = process.argv.slice(2);
console.log((await problemOf(folder, JSON.parse(acknowledged) as number[])) ?? "right");
