/** What is made from the installation's secret: keys by purpose, and sealed boxes for secrets that must be readable. */
export interface Sealing {
  /** HKDF-SHA256 with `label`: 32 bytes, the same on every node of the installation. */
  derive(label: string): Buffer;
  /** AES-256-GCM with `name` (the record key) as associated data, so that a box cannot be moved to another record. */
  seal(name: string, plaintext: Uint8Array): string;
  /** Throws `AuthError("unavailable")` with a detail for the operator when the box was sealed with another secret. */
  open(name: string, box: string): Buffer;
}
