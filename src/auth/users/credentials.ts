import type { Credential } from "../model.ts";
import type { Step } from "../store.ts";

/** Credentials: found by (provider type, provider id, subject), one per provider for each user. */
export interface Credentials {
  find(
    providerType: string,
    providerId: string | null,
    subject: string,
  ): Promise<{ readonly credential: Credential; readonly version: number } | undefined>;
  get(
    credentialId: string,
  ): Promise<{ readonly credential: Credential; readonly version: number } | undefined>;
  /** Like `get`, but undefined for a damaged record. */
  readable(
    credentialId: string,
  ): Promise<{ readonly credential: Credential; readonly version: number } | undefined>;
  listOf(userId: string): Promise<readonly Credential[]>;
  /** Of a page of users at once, in their order. */
  listOfAll(userIds: readonly string[]): Promise<readonly (readonly Credential[])[]>;
  /**
   * The part of a commit that links a new credential; its checks make both claims unique. The caller's commit checks
   * the user's version too, so that nothing is linked to a user who is being removed.
   */
  linking(credential: Credential): Step;
  /** The part of a commit that unlinks it, with the password record that goes with it. */
  unlinking(credential: Credential): Step;
}
