// The lower bound of a password login: scrypt and a comparison, nothing else. Arguments: N r p.
import { ACCOUNT, PasswordHash } from "../peers/password.ts";
import { answer } from "../support/answering.ts";
import { latencies } from "../support/figures.ts";

const passwords = PasswordHash.ofArguments(process.argv.slice(2));
const hash = await passwords.hash(ACCOUNT.password);

async function verify({ count, inFlight }: { count: number; inFlight: number }) {
  const took: number[] = [];
  let next = 0;
  const started = performance.now();
  const worker = async () => {
    while (next++ < count) {
      const from = performance.now();
      if (!(await passwords.verify(ACCOUNT.password, hash))) throw new Error("the password is wrong");
      took.push(performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return { seconds: (performance.now() - started) / 1000, latencies: latencies(took) };
}

answer({ port: 0, version: process.version }, { verify });
