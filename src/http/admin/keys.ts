/** Hashed keys: an instance is shown by a hash of its key. */
import * as Effect from "effect/Effect"

/** The host draws the secret: one of `Random` could be replayed with a seed. */
const host = (): SubtleCrypto => crypto.subtle

export type Hash = (key: string) => Effect.Effect<string>

/** A hash with a secret of its own, or a caller could find an address or a user name by trying all of them. */
export const hashing: Effect.Effect<Hash> = Effect.map(
  Effect.promise(() => host().generateKey({ name: "HMAC", hash: "SHA-256" }, false, ["sign"])),
  (secret) => (key) =>
    Effect.map(
      Effect.promise(() => host().sign("HMAC", secret, new TextEncoder().encode(key))),
      (signature) =>
        Array.from(new Uint8Array(signature, 0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("")
    )
)
