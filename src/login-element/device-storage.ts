import type { DeviceTokenStore } from "../client/device-store.ts";

/**
 * Keeps the device's token in the browser's storage, for one gateway. It is no login. A browser that keeps nothing for
 * this page throws, which the SDK takes for an empty store.
 */
export function browserDeviceStore(gateway: string): DeviceTokenStore {
  const key = `gatehouse-device ${gateway}`;
  return {
    load: () => localStorage.getItem(key),
    save: (deviceToken) => localStorage.setItem(key, deviceToken),
  };
}
