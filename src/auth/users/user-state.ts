import { Type } from "typebox";

import type { UserState } from "../model.ts";

export const UserStateSchema = Type.Union([
  Type.Literal("pending"),
  Type.Literal("active"),
  Type.Literal("deactivated"),
]);

/** A state as records and events hold it. */
export interface StoredUserState {
  /** The only field that nodes of versions without `state` read and write. It decides who is active. */
  readonly isActive: boolean;
  readonly state?: UserState | undefined;
}

export function parseUserState({ isActive, state }: StoredUserState): UserState {
  if (isActive) return "active";
  return state === "pending" ? "pending" : "deactivated";
}

export function toStoredState(state: UserState): Required<StoredUserState> {
  return { isActive: state === "active", state };
}

const order: readonly UserState[] = ["deactivated", "pending", "active"];

/** The one of the two with fewer rights. */
export function lesserState(a: UserState, b: UserState): UserState {
  return order.indexOf(a) < order.indexOf(b) ? a : b;
}
