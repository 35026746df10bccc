// What is observed: calls to the partner behind policies. Nothing here knows of OpenTelemetry or of an observer.
import { HttpClient, HttpClientRequest } from "@effect/platform"
import { Effect } from "effect"
import { Backoff, Fallback, Trip } from "effect-resilience"
import { HttpResilience } from "effect-resilience/http"

/** Asks the partner for an offer. */
export const offerOf = (partner: string) =>
  Effect.map(HttpClient.HttpClient, (client) => {
    const resilient = client.pipe(
      HttpClient.mapRequest(HttpClientRequest.prependUrl(partner)),
      HttpResilience.standard({
        retry: { name: "partner", times: 2, schedule: Backoff.constant({ delay: "100 millis" }) },
        circuitBreaker: { name: "partner", trip: Trip.consecutive(5), openFor: "2 seconds" },
        attemptTimeout: { name: "partner", limit: "1 second" }
      }),
      HttpClient.filterStatusOk
    )
    return resilient.get("/offer").pipe(
      Effect.flatMap((response) => response.text),
      Fallback.succeed("Cold offer", { name: "cold offer" }),
      Effect.scoped,
      Effect.withSpan("offer")
    )
  })
