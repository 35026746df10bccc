import {
  Config,
  type ConfigError,
  Context,
  type Duration,
  Effect,
  type Layer,
  Schedule,
  type Scope,
  type Stream
} from "effect"
import { CircuitBreaker, FailureCondition, Retry, Timeout, Trip } from "effect-resilience"
import { describe, expect, test } from "tstyche"
import { type BadRequest, type Client, fetchOffer, type Refused, type Response } from "../support/offer.js"

class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}
class Desk extends Context.Tag("Desk")<Desk, { readonly note: (line: string) => Effect.Effect<void> }>() {}
class Clockwork extends Context.Tag("Clockwork")<Clockwork, number>() {}

type CircuitOpen = CircuitBreaker.CircuitOpen

declare const breaker: CircuitBreaker.CircuitBreaker
declare const note: (event: { readonly name: string }) => Effect.Effect<void, "no", Desk>

describe("protect", () => {
  test("leaves its error to catchTag in a long pipe", () => {
    const offer = fetchOffer.pipe(
      Timeout.timeout("2 seconds"),
      Partner.protect,
      breaker.protect,
      Retry.retry({ times: 2 }),
      Effect.catchTag("CircuitOpen", (error) => {
        expect(error.retryAfter).type.toBe<Duration.Duration | undefined>()
        expect(error.state).type.toBe<"open" | "half-open" | "isolated">()
        return Effect.succeed({ status: 0 })
      }),
      Effect.map((response) => response.status),
      Effect.catchTag("Refused", "BadRequest", () => Effect.succeed(0))
    )
    expect(offer).type.toBe<Effect.Effect<number, Timeout.TimeoutExceeded, Client | Partner>>()
  })
})

describe("protectWhen", () => {
  test("infers the error and the result in a pipe", () => {
    expect(
      fetchOffer.pipe(
        Partner.protectWhen({
          error: (error) => {
            expect(error).type.toBe<Refused | BadRequest>()
            return error._tag === "Refused"
          },
          result: (response) => {
            expect(response).type.toBe<Response>()
            return response.status >= 500
          },
          ignore: { result: (response) => response.status === 429 },
          retryAfter: (failed) => (failed._tag === "Result" ? failed.result.status : undefined)
        })
      )
    ).type.toBe<Effect.Effect<Response, Refused | BadRequest | CircuitOpen, Client | Partner>>()
  })

  test("infers after other policies, and through a classifier", () => {
    expect(
      fetchOffer.pipe(
        Timeout.timeout("1 second"),
        breaker.protectWhen((exit) => {
          expect(exit._tag === "Success" ? exit.value : undefined).type.toBe<Response | undefined>()
          return FailureCondition.success
        })
      )
    ).type.toBe<
      Effect.Effect<Response, Refused | BadRequest | Timeout.TimeoutExceeded | CircuitOpen, Client>
    >()
  })

  test("takes tags that the error has, and no others", () => {
    expect(fetchOffer.pipe(Partner.protectWhen({ tags: ["Refused"] }))).type.toBe<
      Effect.Effect<Response, Refused | BadRequest | CircuitOpen, Client | Partner>
    >()
    expect(Partner.protectWhen<Response, Refused | BadRequest>).type.toBeCallableWith({
      tags: ["BadRequest"]
    })
    expect(Partner.protectWhen<Response, Refused | BadRequest>).type.not.toBeCallableWith({
      tags: ["Missing"]
    })
  })

  test("refuses a misspelt option", () => {
    expect(Partner.protectWhen<Response, Refused>).type.not.toBeCallableWith({ results: () => true })
  })
})

describe("make and layer", () => {
  test("need nothing without listeners that do", () => {
    expect(CircuitBreaker.make()).type.toBe<Effect.Effect<CircuitBreaker.CircuitBreaker>>()
    expect(
      CircuitBreaker.make({
        name: "partner",
        trip: Trip.consecutive(3),
        openFor: "1 second",
        onOpen: () => Effect.void
      })
    ).type.toBe<Effect.Effect<CircuitBreaker.CircuitBreaker>>()
    expect(CircuitBreaker.make({ openFor: ({ retryAfter }) => retryAfter ?? "1 second" })).type.toBe<
      Effect.Effect<CircuitBreaker.CircuitBreaker>
    >()
    expect(Partner.layer()).type.toBe<Layer.Layer<Partner>>()
    expect(Partner.layer({ trip: Trip.consecutive(3) })).type.toBe<Layer.Layer<Partner>>()
    expect(CircuitBreaker.layer({})).type.toBe<Layer.Layer<CircuitBreaker.CircuitBreaker>>()
  })

  test("require what listeners and schedules do, and no errors of theirs", () => {
    const openFor = Schedule.spaced("1 second").pipe(Schedule.tapOutput(() => Clockwork))
    expect(CircuitBreaker.make({ onOpen: note })).type.toBe<
      Effect.Effect<CircuitBreaker.CircuitBreaker, never, Desk>
    >()
    expect(CircuitBreaker.make({ onClose: note, openFor })).type.toBe<
      Effect.Effect<CircuitBreaker.CircuitBreaker, never, Desk | Clockwork>
    >()
    expect(Partner.layer({ onFailure: note, openFor })).type.toBe<
      Layer.Layer<Partner, never, Desk | Clockwork>
    >()
  })

  test("give listeners typed events without annotations", () => {
    Partner.layer({
      onOpen: (event) => {
        expect(event).type.toBe<CircuitBreaker.StateChange>()
        return Effect.void
      },
      onFailure: (event) => {
        expect(event).type.toBe<CircuitBreaker.Failure>()
        return Effect.flatMap(Desk, (desk) => desk.note(event.name))
      },
      onRejected: (event) => {
        expect(event).type.toBe<CircuitBreaker.Rejected>()
        expect(event.error).type.toBe<CircuitOpen>()
        return Effect.void
      }
    })
  })

  test("refuse misspelt options", () => {
    expect(CircuitBreaker.make).type.not.toBeCallableWith({ openfor: "1 second" })
    expect(CircuitBreaker.make).type.not.toBeCallableWith({ halfOpen: { permit: 1 } })
    expect(CircuitBreaker.make).type.not.toBeCallableWith({
      openFor: "1 second",
      onStateChanged: () => Effect.void
    })
    expect(Partner.layer).type.not.toBeCallableWith({ tripp: Trip.consecutive(1) })
  })

  test("refuse options of the wrong type", () => {
    expect(CircuitBreaker.make).type.not.toBeCallableWith({ openFor: "1 secund" })
    expect(CircuitBreaker.make).type.not.toBeCallableWith({ trip: 3 })
    expect(CircuitBreaker.make).type.not.toBeCallableWith({ onOpen: () => 1 })
    expect(CircuitBreaker.make).type.not.toBeCallableWith({ halfOpen: { successes: { count: 1 } } })
  })
})

describe("layerConfig", () => {
  const settings = { openFor: Config.duration("OPEN_FOR"), halfOpen: { permits: Config.integer("PERMITS") } }

  test("can fail with a ConfigError, and requires what listeners do", () => {
    expect(Partner.layerConfig(settings)).type.toBe<Layer.Layer<Partner, ConfigError.ConfigError>>()
    expect(Partner.layerConfig(Config.unwrap(settings))).type.toBe<
      Layer.Layer<Partner, ConfigError.ConfigError>
    >()
    expect(Partner.layerConfig(settings, { onOpen: note })).type.toBe<
      Layer.Layer<Partner, ConfigError.ConfigError, Desk>
    >()
    expect(CircuitBreaker.layerConfig({ trip: Config.succeed(Trip.consecutive(2)) })).type.toBe<
      Layer.Layer<CircuitBreaker.CircuitBreaker, ConfigError.ConfigError>
    >()
  })

  test("refuses what is no setting", () => {
    expect(Partner.layerConfig).type.not.toBeCallableWith({ openfor: Config.duration("OPEN_FOR") })
    expect(Partner.layerConfig).type.not.toBeCallableWith({ openFor: Config.boolean("OPEN_FOR") })
    expect(Partner.layerConfig).type.not.toBeCallableWith(settings, { onOpened: note })
  })
})

describe("a tag", () => {
  test("has what the breaker has, given the service", () => {
    expect(Partner.state).type.toBe<Effect.Effect<CircuitBreaker.State, never, Partner>>()
    expect(Partner.remainingDelay).type.toBe<Effect.Effect<Duration.Duration, never, Partner>>()
    expect(Partner.snapshot).type.toBe<Effect.Effect<CircuitBreaker.Snapshot, never, Partner>>()
    expect(Partner.changes).type.toBe<Stream.Stream<CircuitBreaker.StateChange, never, Partner>>()
    expect(Partner.acquire).type.toBe<
      Effect.Effect<CircuitBreaker.Permit, CircuitOpen, Partner | Scope.Scope>
    >()
    expect<ReturnType<typeof Partner.record>>().type.toBe<Effect.Effect<void, never, Partner>>()
    expect<typeof Partner.open>().type.toBe<Effect.Effect<void, never, Partner>>()
    expect<typeof Partner.reset>().type.toBe<Effect.Effect<void, never, Partner>>()
    expect(Effect.map(Partner, (breaker) => breaker)).type.toBe<
      Effect.Effect<CircuitBreaker.CircuitBreaker, never, Partner>
    >()
  })

  test("is told apart from another one by its type", () => {
    class Other extends CircuitBreaker.Tag("Other")<Other>() {}
    const both = fetchOffer.pipe(Partner.protect, Other.protect)
    expect(both).type.toBe<
      Effect.Effect<Response, Refused | BadRequest | CircuitOpen, Client | Partner | Other>
    >()
    expect(Effect.provide(both, Partner.layer())).type.toBe<
      Effect.Effect<Response, Refused | BadRequest | CircuitOpen, Client | Other>
    >()
  })
})
