import { problemOf } from "./recovery.ts";

/** Prints `right`, or what is wrong. Arguments: folder, acknowledged commits as JSON. */
const [folder = "", acknowledged = "[]"] = process.argv.slice(2);
console.log((await problemOf(folder, JSON.parse(acknowledged) as number[])) ?? "right");
