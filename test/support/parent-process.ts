import { spawnChild } from "./spawn-child.ts";

// Prints the pid of a child that would run for ten minutes.
const child = spawnChild("sleep", ["600"], { stdio: "ignore" });
child.once("spawn", () => console.log(child.pid));
