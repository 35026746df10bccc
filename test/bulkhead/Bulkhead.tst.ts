import {
  Config,
  type ConfigError,
  Context,
  type Duration,
  Effect,
  type Layer,
  type Scope,
  type Stream
} from "effect"
import { Bulkhead, type Policy, Timeout } from "effect-resilience"
import { describe, expect, test } from "tstyche"
import { type BadRequest, type Client, fetchOffer, type Refused, type Response } from "../support/offer.js"

class Database extends Bulkhead.Tag("Database")<Database>() {}
class Desk extends Context.Tag("Desk")<Desk, { readonly note: (line: string) => Effect.Effect<void> }>() {}

type BulkheadFull = Bulkhead.BulkheadFull

declare const bulkhead: Bulkhead.Bulkhead
declare const note: (event: { readonly name: string }) => Effect.Effect<void, "no", Desk>

describe("protect", () => {
  test("leaves its error to catchTag", () => {
    const offer = fetchOffer.pipe(
      Database.protect,
      Effect.catchTag("BulkheadFull", (error) => {
        expect(error.reason).type.toBe<"full" | "expired">()
        expect(error.retryAfter).type.toBe<Duration.Duration | undefined>()
        expect(error).type.toBeAssignableTo<Policy.Rejection>()
        return Effect.succeed<Response>({ status: 503 })
      })
    )
    expect(offer).type.toBe<Effect.Effect<Response, Refused | BadRequest, Client | Database>>()
  })
})

describe("withPermits", () => {
  test("is a policy like protect", () => {
    expect(bulkhead.withPermits(2)).type.toBe<Policy.Policy<BulkheadFull>>()
    expect(Database.withPermits(2)).type.toBe<Policy.Policy<BulkheadFull, Database>>()
    expect(fetchOffer.pipe(Database.withPermits(2))).type.toBe<
      Effect.Effect<Response, Refused | BadRequest | BulkheadFull, Client | Database>
    >()
    expect(Bulkhead.withPermits).type.not.toBeCallableWith("2")
  })
})

describe("protectWhen", () => {
  test("infers the error and the result in a pipe", () => {
    expect(
      fetchOffer.pipe(
        Timeout.timeout("1 second"),
        Database.protectWhen({
          error: (error) => {
            expect(error).type.toBe<Refused | BadRequest | Timeout.TimeoutExceeded>()
            return error._tag === "Refused"
          },
          result: (response) => {
            expect(response).type.toBe<Response>()
            return response.status >= 500
          }
        })
      )
    ).type.toBe<
      Effect.Effect<
        Response,
        Refused | BadRequest | Timeout.TimeoutExceeded | BulkheadFull,
        Client | Database
      >
    >()
  })
})

describe("make", () => {
  test("needs what the listeners need, and adds no error", () => {
    expect(Bulkhead.make({ permits: 1 })).type.toBe<Effect.Effect<Bulkhead.Bulkhead>>()
    expect(
      Bulkhead.make({ permits: 1, maxQueued: 1, maxWait: "1 second", name: "db", onQueued: note })
    ).type.toBe<Effect.Effect<Bulkhead.Bulkhead, never, Desk>>()
    expect(
      Bulkhead.make({
        permits: 1,
        onAdmitted: ({ permits, waited }) => {
          expect(permits).type.toBe<number>()
          expect(waited).type.toBe<Duration.Duration>()
          return Effect.void
        },
        onRejected: (event) => {
          expect(event).type.toBe<Bulkhead.Rejected>()
          expect(event.error).type.toBe<BulkheadFull>()
          return Effect.void
        },
        onResized: note
      })
    ).type.toBe<Effect.Effect<Bulkhead.Bulkhead, never, Desk>>()
  })

  test("refuses what is missing or misspelt", () => {
    expect(Bulkhead.make).type.not.toBeCallableWith()
    expect(Bulkhead.make).type.not.toBeCallableWith({})
    expect(Bulkhead.make).type.not.toBeCallableWith({ permits: 1, maxQueue: 2 })
    expect(Bulkhead.make).type.not.toBeCallableWith({ permits: 1, maxWait: "soon" })
  })

  test("takes options that are undefined", () => {
    expect(Bulkhead.make({ permits: 1, maxQueued: undefined, onQueued: undefined })).type.toBe<
      Effect.Effect<Bulkhead.Bulkhead>
    >()
  })
})

describe("a tag", () => {
  test("has layers of its service", () => {
    expect(Database.layer({ permits: 1 })).type.toBe<Layer.Layer<Database>>()
    expect(Database.layer({ permits: 1, onSuccess: note })).type.toBe<Layer.Layer<Database, never, Desk>>()
    expect(Bulkhead.layer({ permits: 1 })).type.toBe<Layer.Layer<Bulkhead.Bulkhead>>()
    expect(Database.layer).type.not.toBeCallableWith({})
    expect(Database.layer).type.not.toBeCallableWith({ permits: 1, maxQueue: 2 })
  })

  test("has layers from the configuration", () => {
    const permits = Config.integer("PERMITS")
    expect(Database.layerConfig({ permits })).type.toBe<Layer.Layer<Database, ConfigError.ConfigError>>()
    expect(
      Database.layerConfig(
        { permits, maxQueued: Config.integer("QUEUED"), maxWait: Config.duration("WAIT") },
        { onRejected: note }
      )
    ).type.toBe<Layer.Layer<Database, ConfigError.ConfigError, Desk>>()
    expect(Database.layerConfig).type.not.toBeCallableWith({})
    expect(Database.layerConfig).type.not.toBeCallableWith({ permits }, { onQueue: note })
  })

  test("offers what the bulkhead does, given the service", () => {
    expect(Database).type.toBeAssignableTo<Bulkhead.Operations<Database>>()
    expect(Database.snapshot).type.toBe<Effect.Effect<Bulkhead.Snapshot, never, Database>>()
    expect(Database.changes).type.toBe<Stream.Stream<Bulkhead.Resized, never, Database>>()
    expect(Database.resize(2)).type.toBe<Effect.Effect<void, never, Database>>()
    expect(Database.acquire).type.toBe<Effect.Effect<void, BulkheadFull, Database | Scope.Scope>>()
    expect(bulkhead.acquire).type.toBe<Effect.Effect<void, BulkheadFull, Scope.Scope>>()
  })
})
