/**
 * Where the token of this device is kept. It gives the device tries of its own at passwords, which strangers cannot use
 * up. It is no login: keep it when the person logs out.
 */
export interface DeviceTokenStore {
  load(): string | null | Promise<string | null>;
  save(deviceToken: string): void | Promise<void>;
}

/** Keeps the device's token in memory; it is lost with the page or the process. */
export function createMemoryDeviceTokenStore(): DeviceTokenStore {
  let deviceToken: string | null = null;
  return {
    load: () => deviceToken,
    save(next) {
      deviceToken = next;
    },
  };
}

/** Without the token a login works all the same, so a store that fails is like an empty one. */
export async function loadDeviceToken(store: DeviceTokenStore): Promise<string | undefined> {
  try {
    return (await store.load()) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Never rejects, for the same reason. */
export async function saveDeviceToken(store: DeviceTokenStore, deviceToken: string): Promise<void> {
  try {
    await store.save(deviceToken);
  } catch {
    // The next login gives another one.
  }
}
