import { Config, type ConfigError, Context, type Duration, Effect, type Layer, type Stream } from "effect"
import { FailureCondition, RateLimiter } from "effect-resilience"
import { describe, expect, test } from "tstyche"
import { type BadRequest, type Client, fetchOffer, type Refused, type Response } from "../support/offer.js"

class Partner extends RateLimiter.Tag("Partner")<Partner>() {}
class Desk extends Context.Tag("Desk")<Desk, { readonly note: (line: string) => Effect.Effect<void> }>() {}

type RateLimitExceeded = RateLimiter.RateLimitExceeded

declare const limiter: RateLimiter.RateLimiter
declare const note: (event: { readonly name: string }) => Effect.Effect<void, "no", Desk>

const rate = RateLimiter.smooth({ limit: 10, per: "1 second" })

describe("protect", () => {
  test("leaves its error to catchTag", () => {
    const offer = fetchOffer.pipe(
      Partner.protect,
      Effect.catchTag("RateLimitExceeded", (error) => {
        expect(error.retryAfter).type.toBe<Duration.Duration | undefined>()
        expect(error.reason).type.toBe<"rate" | "queue" | "cost">()
        expect(error.limit).type.toBe<number>()
        return Effect.succeed({ status: 429 })
      })
    )
    expect(offer).type.toBe<
      Effect.Effect<{ status: number } | Response, Refused | BadRequest, Client | Partner>
    >()
  })
})

describe("protectWhen", () => {
  test("infers the error and the result in a pipe", () => {
    expect(
      fetchOffer.pipe(
        Partner.protectWhen({
          ignore: {
            error: (error) => {
              expect(error).type.toBe<Refused | BadRequest>()
              return error._tag === "Refused"
            },
            result: (response) => {
              expect(response).type.toBe<Response>()
              return response.status === 304
            },
            tags: ["BadRequest"]
          }
        })
      )
    ).type.toBe<Effect.Effect<Response, Refused | BadRequest | RateLimitExceeded, Client | Partner>>()
    expect(
      fetchOffer.pipe(
        limiter.protectWhen((exit) => {
          expect(exit._tag === "Success" ? exit.value : undefined).type.toBe<Response | undefined>()
          return FailureCondition.ignored
        })
      )
    ).type.toBe<Effect.Effect<Response, Refused | BadRequest | RateLimitExceeded, Client>>()
  })
})

describe("rates", () => {
  test("are plain data, made of a limit and a time", () => {
    expect(rate).type.toBe<RateLimiter.Rate>()
    expect(RateLimiter.tokenBucket({ limit: 10, per: 1000, burst: undefined })).type.toBe<RateLimiter.Rate>()
    expect(RateLimiter.smooth).type.not.toBeCallableWith({ limit: 10 })
    expect(RateLimiter.smooth).type.not.toBeCallableWith({ limit: 10, per: "soon" })
    expect(RateLimiter.bursty).type.not.toBeCallableWith({ limit: 10, per: 1000, burst: 5 })
  })
})

describe("operations", () => {
  test("of an instance need nothing", () => {
    expect(limiter.tryAcquire()).type.toBe<Effect.Effect<boolean>>()
    expect(limiter.acquire(2)).type.toBe<Effect.Effect<void, RateLimitExceeded>>()
    expect(limiter.reserve()).type.toBe<Effect.Effect<RateLimiter.Reservation, RateLimitExceeded>>()
    expect(limiter.available).type.toBe<Effect.Effect<number>>()
    expect(limiter.setRate(rate)).type.toBe<Effect.Effect<void>>()
    expect(limiter.snapshot).type.toBe<Effect.Effect<RateLimiter.Snapshot>>()
    expect(limiter.changes).type.toBe<Stream.Stream<RateLimiter.RateChanged>>()
  })

  test("of a tag need the service", () => {
    expect(Partner.tryAcquire()).type.toBe<Effect.Effect<boolean, never, Partner>>()
    expect(Partner.acquire(2)).type.toBe<Effect.Effect<void, RateLimitExceeded, Partner>>()
    expect(Partner.reserve()).type.toBe<Effect.Effect<RateLimiter.Reservation, RateLimitExceeded, Partner>>()
    expect(Partner.available).type.toBe<Effect.Effect<number, never, Partner>>()
    expect(Partner.setRate(rate)).type.toBe<Effect.Effect<void, never, Partner>>()
    expect(Partner.changes).type.toBe<Stream.Stream<RateLimiter.RateChanged, never, Partner>>()
  })
})

describe("making", () => {
  test("requires what the listeners require, and no more", () => {
    expect(RateLimiter.make({ rate })).type.toBe<Effect.Effect<RateLimiter.RateLimiter>>()
    expect(RateLimiter.make({ rate, maxWait: "1 second", cost: 2, onRejected: note })).type.toBe<
      Effect.Effect<RateLimiter.RateLimiter, never, Desk>
    >()
    expect(Partner.layer({ rate })).type.toBe<Layer.Layer<Partner>>()
    expect(Partner.layer({ rate, onQueued: note })).type.toBe<Layer.Layer<Partner, never, Desk>>()
  })

  test("takes settings from the configuration, and listeners beside them", () => {
    const settings = {
      rate: Config.map(Config.integer("LIMIT"), (limit) => RateLimiter.smooth({ limit, per: "1 second" })),
      maxWait: Config.duration("MAX_WAIT")
    }
    expect(Partner.layerConfig(settings)).type.toBe<Layer.Layer<Partner, ConfigError.ConfigError>>()
    expect(Partner.layerConfig(settings, { onAdmitted: note })).type.toBe<
      Layer.Layer<Partner, ConfigError.ConfigError, Desk>
    >()
  })

  test("needs a rate, and refuses a misspelt option", () => {
    expect(RateLimiter.make).type.not.toBeCallableWith({})
    expect(RateLimiter.make).type.not.toBeCallableWith({ rate, maxwait: "1 second" })
    expect(Partner.layer).type.not.toBeCallableWith({ rate, onReject: note })
  })
})
