/** Why a request got no answer, who is to blame for that, and what follows from it. For answers, see `httpSemantics.ts`. */

/** What kept a request from an answer. */
export type Fault =
  /** It could not be built or sent as it is: a header, a method, a scheme, a port that is blocked, a length that is wrong. */
  | "invalid"
  /** The source of its body failed. */
  | "body-failed"
  /** A limit passed while the request waited for the source of its own body. */
  | "body-stalled"
  /** The caller's own signal aborted it. Signals stay aborted. */
  | "cancelled"
  /** This process had no descriptor, port or memory left, or had closed its pool of connections. */
  | "exhausted"
  /** A limit passed while the event loop of this process stood still. */
  | "own-stall"
  /** One side does not accept the other's certificate. */
  | "untrusted"
  /** The other side did answer, with what cannot be followed or held: a redirect loop, headers that are too large. */
  | "unusable"
  /** The server that answered redirected it to where there was no connection. */
  | "led-away"
  /** There was no connection, so that the request was certainly not sent. */
  | "not-sent"
  /** The connection ended first. The request may have arrived. */
  | "lost"
  /** The limit passed first. The request may have arrived. */
  | "timed-out"

export interface Consequence {
  readonly blame: "caller" | "process" | "nobody" | "other side"
  /** Another attempt may do better: a retry repeats it and a hedge goes on, and both pay for it from their budget. */
  readonly repeated: boolean
  /** It says something about the other side: to a circuit breaker it is a failure. Else it counts for nothing. */
  readonly counted: boolean
}

const consequence = (
  blame: Consequence["blame"],
  repeated: boolean,
  counted: boolean = blame === "other side"
): Consequence => ({ blame, repeated, counted })

/** A breaker counts what the other side is to blame for. A lack of trust fails at once anyway; an open circuit would hide why. */
export const consequences: Readonly<Record<Fault, Consequence>> = {
  invalid: consequence("caller", false),
  "body-failed": consequence("caller", false),
  "body-stalled": consequence("caller", true),
  cancelled: consequence("caller", false),
  exhausted: consequence("process", true),
  "own-stall": consequence("process", true),
  untrusted: consequence("nobody", false),
  unusable: consequence("nobody", false),
  "led-away": consequence("nobody", true),
  "not-sent": consequence("other side", true),
  lost: consequence("other side", true),
  "timed-out": consequence("other side", true)
}
