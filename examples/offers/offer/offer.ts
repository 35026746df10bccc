// The offer: a hot one from the partner, through a circuit breaker, or else a cold one of our own.
import { HttpClient, HttpClientResponse } from "@effect/platform"
import { Config, Effect, Schema } from "effect"
import { CircuitBreaker, Fallback, Timeout, Trip } from "effect-resilience"
import { Share } from "effect-resilience/fleet"
import { minuteAndSecond } from "../time.js"

/** The circuit breaker in front of the partner. */
export class PartnerCircuit extends CircuitBreaker.Tag("partner")<PartnerCircuit>() {}

/**
 * Opens after three failures in a row (or FAILURES), for 15 seconds (or OPEN_FOR). All offer services with the same store have one
 * circuit and one count; while the store does not answer, each goes on with its own. Its listeners log its events.
 */
export const circuit = PartnerCircuit.layerConfig(
  {
    trip: Config.integer("FAILURES").pipe(Config.withDefault(3), Config.map(Trip.consecutive)),
    openFor: Config.duration("OPEN_FOR").pipe(Config.withDefault("15 seconds"))
  },
  {
    share: Share.inline({ onStoreFailure: "local" }),
    onSuccess: () => log("success"),
    onFailure: () => log("failure"),
    onRejected: () => log("rejected, the partner is not called"),
    onStateChange: ({ from, to }) => log(`circuit breaker state changed from ${from} to ${to}`)
  }
)

const log = (message: string) =>
  Effect.annotateLogs(Effect.log(message), { circuit: PartnerCircuit.protect.name })

/** Fails for a status other than 2xx. The scope releases a response whose body is not read. */
const hotOffer = Effect.gen(function* () {
  yield* log("before the call")
  const client = HttpClient.withScope(yield* HttpClient.HttpClient)
  const response = yield* Effect.flatMap(client.get("/offer/hot"), HttpClientResponse.filterStatusOk)
  return yield* HttpClientResponse.schemaBodyJson(Schema.String)(response)
}).pipe(Effect.scoped)

const coldOffer = Effect.map(minuteAndSecond, (time) => `Cold offer fallback ${time}`)

/** While the circuit is open, the partner is not called and callers get a cold offer at once. */
export const offer = hotOffer.pipe(
  Timeout.timeout("2 seconds"),
  PartnerCircuit.protect,
  Fallback.orElse(() => coldOffer)
)
