/** The call of the tests of types: an offer that is fetched with a client, and two ways in which that fails. */
import type { Effect } from "effect"

export class Refused {
  readonly _tag = "Refused"
}
export class BadRequest {
  readonly _tag = "BadRequest"
}
export interface Response {
  readonly status: number
}
export interface Client {
  readonly client: unique symbol
}

/** What comes of the call, with what policies add. */
export type Offer<Added = never, Needed = never> = Effect.Effect<
  Response,
  Refused | BadRequest | Added,
  Client | Needed
>

export declare const fetchOffer: Offer
