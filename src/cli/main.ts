#!/usr/bin/env node
import { runCommand } from "./program.ts";

const { env, stdin, stdout, stderr } = process;
process.exitCode = await runCommand(process.argv.slice(2), { env, stdin, stdout, stderr });
