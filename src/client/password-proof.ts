/**
 * Loaded when a password is proved for the first time. It imports nothing that the rest of the client has, so that a build
 * can make one file of it.
 */
import type { FlowStep } from "../../protocol/flow.ts";
import { channelBinding, SCRAM_STEP } from "../../protocol/scram.ts";
import type { PasswordInput } from "./proof-choice.ts";
import { beginScram, Distrust, type ScramClient, type SignedFinal } from "./scram.ts";
import { defaultScrypt, type Scrypt } from "./scrypt.ts";

/** What a proof needs of a socket: it can be bound to it. */
export interface KeyExporter {
  readonly isOpen: boolean;
  exportKey(label: string, bytes: number): Uint8Array | undefined;
}

/** The flow in which a password is proved. */
export interface ProvingFlow<Socket extends KeyExporter> {
  /** The open socket, or a new one; undefined if another step than the form is shown by then. */
  socket(): Promise<Socket | undefined>;
  /** A proof outlives the socket on which it was begun. */
  kept(): PasswordProof | undefined;
  keep(proof: PasswordProof | undefined): void;
  /** Answers the flow's step. What comes back is shown to nobody yet. */
  send(socket: Socket, input: Readonly<Record<string, unknown>>): Promise<FlowStep>;
  progress(part: number): void;
  /** Whether the password may be sent, if the server cannot check a proof of it. */
  readonly maySend: boolean;
}

/**
 * Proves a password, from where an earlier try was interrupted. Gives the server's last answer. `send`: the password has to
 * be sent. `moved`: the flow shows another step by now. Rejects with `Distrust`, with what the flow rejects with, and if
 * scrypt cannot be computed.
 */
export async function provePassword<Socket extends KeyExporter>(
  given: PasswordInput,
  scrypt: Scrypt | undefined,
  flow: ProvingFlow<Socket>,
): Promise<{ readonly socket: Socket; readonly step: FlowStep } | "send" | "moved"> {
  const socket = await flow.socket();
  if (socket === undefined) return "moved";
  const begun = flow.kept();
  const isBegun = begun?.serverFirst !== undefined && !begun.isUsed && begun.username === given.username;
  const proof = isBegun ? begun : await PasswordProof.begin(given, socket, scrypt);
  flow.keep(proof);
  if (proof === undefined) return "send";
  if (proof.serverFirst === undefined) {
    const step = await flow.send(socket, proof.firstInput);
    if (!proof.takes(step)) {
      flow.keep(undefined);
      if (step.type === "abort" || isRefusal(step, given.stepId)) return { socket, step };
      // The same form without an error: the server can check this password only as it is.
      if (step.type === "form" && step.step_id === given.stepId) return "send";
      throw new Distrust("The server goes on although nothing was proved");
    }
  }
  await proof.compute(given.password, (part) => flow.progress(part));
  const current = await flow.socket();
  if (current === undefined || flow.kept() !== proof) return "moved";
  const step = await flow.send(current, proof.finalInput(current)).catch((error: unknown) => {
    // The server has answered with an error, and may have judged the exchange. Only one that got no answer is sent again.
    proof.isUsed = current.isOpen;
    throw error;
  });
  const isAskedFor = isRefusal(step, given.stepId) && "send_password" in step && flow.maySend;
  if (!isAskedFor) return { socket: current, step };
  flow.keep(undefined);
  return "send";
}

/** Whether this is the form that asked for the password, with the word that it was wrong. */
function isRefusal(step: FlowStep, stepId: string): boolean {
  return step.type === "form" && step.step_id === stepId && Object.keys(step.errors).length > 0;
}

/** One password that is proved, as far as it has come. */
export class PasswordProof {
  readonly #stepId: string;
  readonly #scram: ScramClient;
  readonly #scrypt: Scrypt;
  /** It is kept to check what follows, and the next try begins another one. */
  isUsed = false;
  #serverFirst: string | undefined;
  #sign: ((bound: Uint8Array | undefined) => SignedFinal) | undefined;
  /** What the server must answer with, once our proof is on its way. */
  #serverFinal: string | undefined;

  private constructor(stepId: string, scram: ScramClient, scrypt: Scrypt) {
    this.#stepId = stepId;
    this.#scram = scram;
    this.#scrypt = scrypt;
  }

  /** Undefined if the form has no mechanism, or nothing here computes scrypt. */
  static async begin(
    { username, mechanisms, stepId }: PasswordInput,
    socket: KeyExporter,
    given: Scrypt | undefined,
  ): Promise<PasswordProof | undefined> {
    const scram = beginScram(username, mechanisms, boundTo(socket) !== undefined);
    if (!mechanisms.includes(scram.mechanism)) return undefined;
    const scrypt = given ?? (await defaultScrypt());
    return scrypt && new PasswordProof(stepId, scram, scrypt);
  }

  get username(): string {
    return this.#scram.username;
  }

  get serverFirst(): string | undefined {
    return this.#serverFirst;
  }

  get firstInput() {
    return { mechanism: this.#scram.mechanism, initial_response: this.#scram.first };
  }

  /** True for the server's answer to our first message, which is kept. */
  takes(step: FlowStep): boolean {
    if (step.type !== "form" || step.step_id !== SCRAM_STEP) return false;
    this.#serverFirst = step.description_placeholders?.server_first ?? "";
    return true;
  }

  /** Runs scrypt. Rejects with `Distrust`, and with what `Scrypt` rejects with. */
  async compute(password: string, onProgress: (part: number) => void): Promise<void> {
    this.#sign = await this.#scram.sign(this.#serverFirst ?? "", password, this.#scrypt, onProgress);
  }

  /** The last message, for the socket on which it is sent. After `compute`. */
  finalInput(socket: KeyExporter) {
    const signed = this.#sign?.(boundTo(socket));
    this.#serverFinal = signed?.serverFinal;
    return { client_final: signed?.message };
  }

  /** Whether a step may follow: only a refusal comes without the server's own proof, also before ours was sent. */
  isAnsweredBy(step: FlowStep): boolean {
    if (step.type === "abort" || isRefusal(step, this.#stepId)) return true;
    return this.#serverFinal !== undefined && step.server_final === this.#serverFinal;
  }
}

function boundTo(socket: KeyExporter): Uint8Array | undefined {
  return socket.exportKey(channelBinding.label, channelBinding.bytes);
}
