import {
  HttpApi,
  HttpApiClient,
  HttpApiEndpoint,
  type HttpApiError,
  HttpApiGroup,
  HttpClient,
  type HttpClientError,
  type HttpClientRequest,
  HttpClientResponse
} from "@effect/platform"
import {
  Context,
  Duration,
  Effect,
  flow,
  pipe,
  type Layer,
  type ParseResult,
  Schedule,
  Schema,
  type Scope
} from "effect"
import {
  Bulkhead,
  CircuitBreaker,
  Hedge,
  type Policy,
  RateLimiter,
  type Retry,
  RetryBudget,
  Timeout,
  Trip
} from "effect-resilience"
import { HttpResilience } from "effect-resilience/http"
import { describe, expect, test } from "tstyche"

class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}
class Places extends Bulkhead.Tag("Places")<Places>() {}
class Quota extends RateLimiter.Tag("Quota")<Quota>() {}
class Budget extends RetryBudget.Tag("Budget")<Budget>() {}
class Desk extends Context.Tag("Desk")<Desk, { readonly note: Effect.Effect<void> }>() {}
class Session extends Context.Tag("Session")<Session, string>() {}

type Client<E, R = never> = HttpClient.HttpClient.With<E, R>
type Request = HttpClientRequest.HttpClientRequest
type Response = HttpClientResponse.HttpClientResponse
type HttpError = HttpClientError.HttpClientError
type Late = Timeout.TimeoutExceeded
type Open = CircuitBreaker.CircuitOpen
type Full = Bulkhead.BulkheadFull
type Limited = RateLimiter.RateLimitExceeded

declare const plain: HttpClient.HttpClient
/** A client that fails and needs something of its own. */
declare const client: Client<HttpError | "signed out", Session>
declare const breaker: CircuitBreaker.CircuitBreaker
declare const breakers: CircuitBreaker.KeyedCircuitBreaker
declare const bulkhead: Bulkhead.Bulkhead
declare const bulkheads: Bulkhead.KeyedBulkhead
declare const limiter: RateLimiter.RateLimiter
declare const limiters: RateLimiter.KeyedRateLimiter
declare const budget: RetryBudget.RetryBudget
declare const note: (event: unknown) => Effect.Effect<void, "no", Desk>
declare const perhaps: HttpResilience.Condition | undefined
declare const instead: (failure: unknown, request: Request) => Effect.Effect<Response, "nothing stored", Desk>
/** A part of the user's own, such as a cache. */
declare const ownPart: HttpResilience.Part<"cache down", Desk>

const rate = RateLimiter.smooth({ limit: 5, per: "1 second" })

describe("retry", () => {
  test("adds nothing by itself", () => {
    expect(HttpResilience.retry()).type.toBe<HttpResilience.Part>()
    expect(HttpResilience.retry({ times: 2 })).type.toBe<HttpResilience.Part>()
    expect(client.pipe(HttpResilience.retry({ times: 2 }))).type.toBe<
      Client<HttpError | "signed out", Session>
    >()
    expect(HttpResilience.retry({ budget, maxHint: "1 minute" })).type.toBe<HttpResilience.Part>()
  })

  test("adds the errors of its listeners, and what budget, schedule and listeners require", () => {
    expect(HttpResilience.retry({ budget: Budget })).type.toBe<HttpResilience.Part<never, Budget>>()
    expect(HttpResilience.retry({ onRetry: note })).type.toBe<HttpResilience.Part<"no", Desk>>()
    expect(HttpResilience.retry({ onExceeded: () => Effect.fail("gave up" as const) })).type.toBe<
      HttpResilience.Part<"gave up">
    >()
    const schedule = Schedule.recurs(3).pipe(Schedule.tapOutput(() => Session))
    expect(HttpResilience.retry({ schedule, budget: Budget, onRetryScheduled: note })).type.toBe<
      HttpResilience.Part<"no", Session | Budget | Desk>
    >()
    expect(client.pipe(HttpResilience.retry({ budget: Budget, onRetry: note }))).type.toBe<
      Client<HttpError | "signed out" | "no", Session | Budget | Desk>
    >()
  })

  test("infers what its functions are given", () => {
    const retry = HttpResilience.retry({
      idempotent: (request) => {
        expect(request).type.toBe<Request>()
        return request.url.endsWith("/search")
      },
      condition: {
        result: (response) => {
          expect(response).type.toBe<Response>()
          return response.status === 409
        },
        error: (error) => {
          expect(error).type.toBe<unknown>()
          return error instanceof Timeout.TimeoutExceeded
        }
      },
      onRetry: (event) => {
        expect(event).type.toBe<Retry.Retried<Response, unknown>>()
        return Effect.void
      },
      onExceeded: (event) => {
        expect(event).type.toBe<Retry.Exceeded<Response, unknown>>()
        return Effect.void
      }
    })
    expect(retry).type.toBe<HttpResilience.Part>()
  })

  test("refuses what is no option of it", () => {
    expect(HttpResilience.retry).type.not.toBeCallableWith({ attempts: 3 })
    expect(HttpResilience.retry).type.not.toBeCallableWith({ times: 3, tmes: 3 })
    expect(HttpResilience.retry).type.not.toBeCallableWith({ times: "3" })
    expect(HttpResilience.retry).type.not.toBeCallableWith({ maxHint: "10 parsecs" })
    // options of Retry that a client has no use for
    expect(HttpResilience.retry).type.not.toBeCallableWith({ exceeded: "wrap" })
    expect(HttpResilience.retry).type.not.toBeCallableWith({ disposeResult: () => Effect.void })
    expect(HttpResilience.retry).type.not.toBeCallableWith({ delayFrom: () => "1 second" })
  })

  test("refuses a condition that is about something else", () => {
    expect(HttpResilience.retry).type.not.toBeCallableWith({ condition: { result: (n: number) => n > 1 } })
    expect(HttpResilience.retry).type.not.toBeCallableWith({
      condition: { error: (e: Late) => e.name === "" }
    })
    expect(HttpResilience.retry).type.not.toBeCallableWith({ condition: { status: [503] } })
    expect(HttpResilience.retry).type.not.toBeCallableWith({ condition: () => true })
    // errors of clients are not known to a part, and have no tags that could be checked
    expect(HttpResilience.retry).type.not.toBeCallableWith({ condition: { tags: ["TimeoutExceeded"] } })
  })
})

describe("circuitBreaker", () => {
  test("adds CircuitOpen, and what its listeners require", () => {
    expect(HttpResilience.circuitBreaker()).type.toBe<HttpResilience.Part<Open>>()
    expect(HttpResilience.circuitBreaker({ trip: Trip.consecutive(5), capacity: 10 })).type.toBe<
      HttpResilience.Part<Open>
    >()
    expect(HttpResilience.circuitBreaker({ key: ({ headers }) => headers["tenant"] })).type.toBe<
      HttpResilience.Part<Open>
    >()
    expect(client.pipe(HttpResilience.circuitBreaker())).type.toBe<
      Client<HttpError | "signed out" | Open, Session>
    >()
  })

  test("adds no errors of listeners, which cannot change a call", () => {
    expect(HttpResilience.circuitBreaker({ onOpen: note })).type.toBe<HttpResilience.Part<Open, Desk>>()
  })

  test("takes breakers from elsewhere, and requires a tag", () => {
    expect(HttpResilience.circuitBreaker(breaker)).type.toBe<HttpResilience.Part<Open>>()
    expect(HttpResilience.circuitBreaker(breakers)).type.toBe<HttpResilience.Part<Open>>()
    expect(HttpResilience.circuitBreaker(breakers, { key: ({ url }) => url })).type.toBe<
      HttpResilience.Part<Open>
    >()
    expect(HttpResilience.circuitBreaker(Partner)).type.toBe<HttpResilience.Part<Open, Partner>>()
    expect(
      HttpResilience.circuitBreaker(Partner, { condition: { result: ({ status }) => status === 503 } })
    ).type.toBe<HttpResilience.Part<Open, Partner>>()
    expect(client.pipe(HttpResilience.circuitBreaker(Partner))).type.toBe<
      Client<HttpError | "signed out" | Open, Session | Partner>
    >()
  })

  test("refuses what is no option of it", () => {
    expect(HttpResilience.circuitBreaker).type.not.toBeCallableWith({ openFr: "1 second" })
    expect(HttpResilience.circuitBreaker).type.not.toBeCallableWith({ openFor: "1 second", capcity: 5 })
    expect(HttpResilience.circuitBreaker).type.not.toBeCallableWith({ initial: {} })
    expect(HttpResilience.circuitBreaker).type.not.toBeCallableWith({ whenFull: "wait" })
    expect(HttpResilience.circuitBreaker).type.not.toBeCallableWith({ key: () => 5 })
    // a breaker has its options already
    expect(HttpResilience.circuitBreaker).type.not.toBeCallableWith(breaker, { openFor: "1 second" })
    expect(HttpResilience.circuitBreaker).type.not.toBeCallableWith({}, { key: () => "one" })
    expect(HttpResilience.circuitBreaker).type.not.toBeCallableWith(breaker, {
      condition: { result: (text: string) => text === "" }
    })
    expect(HttpResilience.circuitBreaker).type.not.toBeCallableWith(Places)
    expect(HttpResilience.circuitBreaker).type.not.toBeCallableWith(limiter)
  })
})

describe("timeout", () => {
  test("adds TimeoutExceeded", () => {
    expect(HttpResilience.timeout("2 seconds")).type.toBe<HttpResilience.Part<Late>>()
    expect(HttpResilience.timeout(Duration.seconds(2))).type.toBe<HttpResilience.Part<Late>>()
    expect(HttpResilience.timeout({ limit: 2000, body: "buffered" })).type.toBe<HttpResilience.Part<Late>>()
    expect(HttpResilience.timeout({ limit: 2000, body: true, name: "attempt" })).type.toBe<
      HttpResilience.Part<Late>
    >()
    expect(client.pipe(HttpResilience.timeout("2 seconds"))).type.toBe<
      Client<HttpError | "signed out" | Late, Session>
    >()
  })

  test("adds what its listener fails with and requires", () => {
    expect(HttpResilience.timeout({ limit: 2000, onTimeout: note })).type.toBe<
      HttpResilience.Part<Late | "no", Desk>
    >()
    HttpResilience.timeout({
      limit: 2000,
      onTimeout: (event) => {
        expect(event).type.toBe<Timeout.TimedOut>()
        expect(event.error).type.toBe<Late>()
        return Effect.void
      }
    })
  })

  test("refuses what is no limit and no option of it", () => {
    expect(HttpResilience.timeout).type.not.toBeCallableWith()
    expect(HttpResilience.timeout).type.not.toBeCallableWith("2 parsecs")
    expect(HttpResilience.timeout).type.not.toBeCallableWith({})
    expect(HttpResilience.timeout).type.not.toBeCallableWith({ limit: 2000, boddy: true })
    expect(HttpResilience.timeout).type.not.toBeCallableWith({ limit: 2000, body: "stream" })
    // the limit of a request is not computed
    expect(HttpResilience.timeout).type.not.toBeCallableWith({ limit: Effect.succeed(2000) })
    expect(HttpResilience.timeout).type.not.toBeCallableWith({ limit: 2000, disconnect: true })
  })
})

describe("bulkhead and rateLimiter", () => {
  test("add their rejection, and what their listeners require", () => {
    expect(HttpResilience.bulkhead({ permits: 5 })).type.toBe<HttpResilience.Part<Full>>()
    expect(
      HttpResilience.bulkhead({ permits: 5, key: ({ url }) => url, capacity: 10, onRejected: note })
    ).type.toBe<HttpResilience.Part<Full, Desk>>()
    expect(HttpResilience.rateLimiter({ rate })).type.toBe<HttpResilience.Part<Limited>>()
    expect(HttpResilience.rateLimiter({ rate, onRejected: note })).type.toBe<
      HttpResilience.Part<Limited, Desk>
    >()
    expect(
      client.pipe(HttpResilience.bulkhead({ permits: 5 }), HttpResilience.rateLimiter({ rate }))
    ).type.toBe<Client<HttpError | "signed out" | Full | Limited, Session>>()
  })

  test("take what is made elsewhere, and require a tag", () => {
    expect(HttpResilience.bulkhead(bulkhead)).type.toBe<HttpResilience.Part<Full>>()
    expect(HttpResilience.bulkhead(bulkheads, { key: ({ url }) => url })).type.toBe<
      HttpResilience.Part<Full>
    >()
    expect(HttpResilience.bulkhead(Places)).type.toBe<HttpResilience.Part<Full, Places>>()
    expect(HttpResilience.rateLimiter(limiter)).type.toBe<HttpResilience.Part<Limited>>()
    expect(HttpResilience.rateLimiter(limiters, { key: () => undefined })).type.toBe<
      HttpResilience.Part<Limited>
    >()
    expect(HttpResilience.rateLimiter(Quota)).type.toBe<HttpResilience.Part<Limited, Quota>>()
  })

  test("refuse each other's, and what is no option of theirs", () => {
    expect(HttpResilience.bulkhead).type.not.toBeCallableWith({})
    expect(HttpResilience.bulkhead).type.not.toBeCallableWith({ permits: 5, maxQueue: 5 })
    expect(HttpResilience.bulkhead).type.not.toBeCallableWith({ permits: 5, rate })
    expect(HttpResilience.bulkhead).type.not.toBeCallableWith(limiter)
    expect(HttpResilience.bulkhead).type.not.toBeCallableWith(Partner)
    expect(HttpResilience.bulkhead).type.not.toBeCallableWith(bulkhead, { condition: {} })
    expect(HttpResilience.rateLimiter).type.not.toBeCallableWith({})
    expect(HttpResilience.rateLimiter).type.not.toBeCallableWith({ rate: 5 })
    expect(HttpResilience.rateLimiter).type.not.toBeCallableWith({ rate, maxWai: 5 })
    expect(HttpResilience.rateLimiter).type.not.toBeCallableWith(Places)
  })
})

describe("hedge", () => {
  test("adds nothing by itself", () => {
    expect(HttpResilience.hedge({ delay: "100 millis" })).type.toBe<HttpResilience.Part>()
    expect(
      HttpResilience.hedge({ delay: Hedge.percentile(0.95), maxHedges: 2 })
    ).type.toBe<HttpResilience.Part>()
  })

  test("adds what a computed delay, the budget and the listener bring", () => {
    const delay = Effect.zipRight(Session, Effect.fail("no delay" as const))
    expect(HttpResilience.hedge({ delay })).type.toBe<HttpResilience.Part<"no delay", Session>>()
    expect(HttpResilience.hedge({ delay, budget: Budget, onHedge: note })).type.toBe<
      HttpResilience.Part<"no delay" | "no", Session | Budget | Desk>
    >()
  })

  test("refuses what is no option of it", () => {
    expect(HttpResilience.hedge).type.not.toBeCallableWith()
    expect(HttpResilience.hedge).type.not.toBeCallableWith({})
    expect(HttpResilience.hedge).type.not.toBeCallableWith({ delay: 5, maxHedge: 2 })
    expect(HttpResilience.hedge).type.not.toBeCallableWith({ delay: 5, disconnect: true })
    expect(HttpResilience.hedge).type.not.toBeCallableWith({ delay: "soon" })
  })
})

describe("fallback", () => {
  test("replaces every error when there is no condition", () => {
    expect(HttpResilience.fallback(instead)).type.toBe<HttpResilience.FallbackPart<"nothing stored", Desk>>()
    expect(client.pipe(HttpResilience.fallback(instead))).type.toBe<
      Client<"nothing stored", Session | Desk>
    >()
    expect(client.pipe(HttpResilience.fallback(instead, { name: "stored", onFallback: note }))).type.toBe<
      Client<"nothing stored" | "no", Session | Desk>
    >()
    expect(client.pipe(HttpResilience.fallback(instead, { condition: undefined }))).type.toBe<
      Client<"nothing stored", Session | Desk>
    >()
  })

  test("leaves errors with a condition", () => {
    const condition = { result: ({ status }: Response) => status === 404 }
    expect(HttpResilience.fallback(instead, { condition })).type.toBe<
      HttpResilience.Part<"nothing stored", Desk>
    >()
    expect(client.pipe(HttpResilience.fallback(instead, { condition, onFallback: note }))).type.toBe<
      Client<HttpError | "signed out" | "nothing stored" | "no", Session | Desk>
    >()
    expect(client.pipe(HttpResilience.fallback(instead, { condition: perhaps }))).type.toBe<
      Client<HttpError | "signed out" | "nothing stored", Session | Desk>
    >()
  })

  test("is given the failure and the request", () => {
    HttpResilience.fallback((failure, request) => {
      expect(request).type.toBe<Request>()
      expect(failure._tag).type.toBe<"Error" | "Result" | "Defect">()
      if (failure._tag === "Error") expect(failure.error).type.toBe<unknown>()
      if (failure._tag === "Result") expect(failure.result).type.toBe<Response>()
      return Effect.succeed(HttpClientResponse.fromWeb(request, new globalThis.Response()))
    })
  })

  test("refuses what is no response and no option of it", () => {
    expect(HttpResilience.fallback).type.not.toBeCallableWith(() => Effect.succeed("nothing"))
    expect(HttpResilience.fallback).type.not.toBeCallableWith(instead, { onFalback: note })
    expect(HttpResilience.fallback).type.not.toBeCallableWith(instead, {
      condition: { tags: ["CircuitOpen"] }
    })
  })
})

describe("marks and idempotencyKey", () => {
  test("change no type", () => {
    const call = client.post("http://localhost:3000/search")
    expect(call.pipe(HttpResilience.idempotent)).type.toBe<typeof call>()
    expect(call.pipe(HttpResilience.replayable, HttpResilience.idempotent)).type.toBe<typeof call>()
    expect(HttpResilience.idempotencyKey()).type.toBe<HttpResilience.Part>()
    expect(client.pipe(HttpResilience.idempotencyKey())).type.toBe<typeof client>()
  })
})

describe("parts", () => {
  type Guarded = Client<HttpError | "signed out" | Late | Open | Full, Session | Partner>
  const attempt = HttpResilience.timeout("2 seconds")
  const circuit = HttpResilience.circuitBreaker(Partner)
  const persistent = HttpResilience.retry({ times: 2 })
  const places = HttpResilience.bulkhead({ permits: 5 })

  test("add up in pipe and flow", () => {
    expect(client.pipe(attempt, circuit, persistent, places)).type.toBe<Guarded>()
    expect(flow(attempt, circuit, persistent, places)(client)).type.toBe<Guarded>()
    expect(places(persistent(circuit(attempt(client))))).type.toBe<Guarded>()
  })

  test("are all replaced by a fallback at the outside, and by a sealed client", () => {
    const guarded = client.pipe(attempt, circuit, persistent, places)
    expect(guarded.pipe(HttpResilience.fallback(instead))).type.toBe<
      Client<"nothing stored", Session | Partner | Desk>
    >()
    expect(guarded.pipe(HttpResilience.sealed)).type.toBe<Client<HttpError, Session | Partner>>()
    expect(flow(attempt, circuit, HttpResilience.sealed)(plain)).type.toBe<Client<HttpError, Partner>>()
  })

  test("leave their errors to whoever sends a request", () => {
    const call = client.pipe(attempt, circuit).get("http://localhost:3000/offer")
    expect(call).type.toBe<
      Effect.Effect<Response, HttpError | "signed out" | Late | Open, Session | Partner>
    >()
    expect(
      call.pipe(Effect.catchTag("CircuitOpen", ({ retryAfter }) => Effect.succeed(retryAfter)))
    ).type.toBe<
      Effect.Effect<
        Response | Duration.Duration | undefined,
        HttpError | "signed out" | Late,
        Session | Partner
      >
    >()
  })

  test("are named once and applied to several clients", () => {
    expect(attempt(plain)).type.toBe<Client<HttpError | Late>>()
    expect(attempt(client)).type.toBe<Client<HttpError | "signed out" | Late, Session>>()
    expect(HttpClient.withScope(plain).pipe(circuit)).type.toBe<
      Client<HttpError | Open, Scope.Scope | Partner>
    >()
    const resilient = HttpResilience.standard()
    expect(resilient(plain)).type.toBe<Client<HttpError | Late | Open>>()
    expect(resilient(client)).type.toBe<Client<HttpError | "signed out" | Late | Open, Session>>()
  })

  test("can be annotated, with what they add or with more", () => {
    const annotated: HttpResilience.Part<Late> = HttpResilience.timeout("2 seconds")
    expect(client.pipe(annotated)).type.toBe<Client<HttpError | "signed out" | Late, Session>>()
    expect<HttpResilience.Part<Late | Open, Partner>>().type.toBeAssignableFrom<HttpResilience.Part<Late>>()
    expect<HttpResilience.Part<Late>>().type.not.toBeAssignableFrom<HttpResilience.Part<Late | Open>>()
    expect<HttpResilience.Part<Late>>().type.not.toBeAssignableFrom<HttpResilience.Part<Late, Desk>>()
    expect<HttpResilience.Part<unknown, unknown>>().type.not.toBeAssignableFrom<
      HttpResilience.FallbackPart<never>
    >()
  })

  test("can be described", () => {
    expect(attempt).type.toBeAssignableTo<Policy.Described>()
    expect(HttpResilience.standard()).type.toBeAssignableTo<Policy.Described>()
  })

  test("are no policies of effects", () => {
    expect(attempt).type.not.toBeAssignableTo<Policy.Policy<Late>>()
    expect<HttpResilience.Part<Late>>().type.not.toBeAssignableFrom<Policy.Policy<Late>>()
  })
})

describe("standard", () => {
  /** The errors that a standard client adds to those of a client of its own. */
  type Standard<Added, Needed = never> = Client<HttpError | "signed out" | Added, Session | Needed>
  const fallback = HttpResilience.fallback(instead)

  test("adds TimeoutExceeded and CircuitOpen by default", () => {
    expect(client.pipe(HttpResilience.standard())).type.toBe<Standard<Late | Open>>()
    expect(client.pipe(HttpResilience.standard({}))).type.toBe<Standard<Late | Open>>()
    expect(flow(HttpResilience.standard())(plain)).type.toBe<Client<HttpError | Late | Open>>()
  })

  test("has the default where an option is undefined", () => {
    expect(
      client.pipe(
        HttpResilience.standard({
          totalTimeout: undefined,
          fallback: undefined,
          cache: undefined,
          rateLimiter: undefined,
          bulkhead: undefined,
          retry: undefined,
          hedge: undefined,
          budget: undefined,
          circuitBreaker: undefined,
          attemptTimeout: undefined
        })
      )
    ).type.toBe<Standard<Late | Open>>()
  })

  test("has no error of what is left out", () => {
    const left = (options: HttpResilience.StandardOptions) => options
    expect(left).type.toBeCallableWith({ retry: false, budget: false, hedge: false })
    expect(client.pipe(HttpResilience.standard({ circuitBreaker: false }))).type.toBe<Standard<Late>>()
    expect(client.pipe(HttpResilience.standard({ totalTimeout: false }))).type.toBe<Standard<Late | Open>>()
    expect(client.pipe(HttpResilience.standard({ attemptTimeout: false }))).type.toBe<Standard<Late | Open>>()
    expect(client.pipe(HttpResilience.standard({ totalTimeout: false, attemptTimeout: false }))).type.toBe<
      Standard<Open>
    >()
    expect(
      client.pipe(
        HttpResilience.standard({
          totalTimeout: false,
          fallback: false,
          cache: false,
          rateLimiter: false,
          bulkhead: false,
          retry: false,
          hedge: false,
          budget: false,
          circuitBreaker: false,
          attemptTimeout: false
        })
      )
    ).type.toBe<Standard<never>>()
  })

  test("has the error of each part that is given by its options", () => {
    expect(client.pipe(HttpResilience.standard({ bulkhead: { permits: 5 } }))).type.toBe<
      Standard<Late | Open | Full>
    >()
    expect(client.pipe(HttpResilience.standard({ rateLimiter: { rate } }))).type.toBe<
      Standard<Late | Open | Limited>
    >()
    expect(
      client.pipe(HttpResilience.standard({ hedge: { delay: Hedge.percentile(0.95) }, retry: { times: 1 } }))
    ).type.toBe<Standard<Late | Open>>()
    expect(
      client.pipe(
        HttpResilience.standard({
          totalTimeout: Duration.seconds(5),
          attemptTimeout: { limit: "1 second", body: true },
          circuitBreaker: { trip: Trip.consecutive(5), openFor: Schedule.exponential("1 second") }
        })
      )
    ).type.toBe<Standard<Late | Open>>()
  })

  test("has the errors of listeners and computed delays that can fail, and needs their services", () => {
    expect(
      client.pipe(HttpResilience.standard({ totalTimeout: { limit: "20 seconds", onTimeout: note } }))
    ).type.toBe<Standard<Late | Open | "no", Desk>>()
    expect(client.pipe(HttpResilience.standard({ attemptTimeout: { limit: 1, onTimeout: note } }))).type.toBe<
      Standard<Late | Open | "no", Desk>
    >()
    expect(client.pipe(HttpResilience.standard({ retry: { onRetry: note } }))).type.toBe<
      Standard<Late | Open | "no", Desk>
    >()
    const delay = Effect.zipRight(Session, Effect.fail("no delay" as const))
    expect(plain.pipe(HttpResilience.standard({ hedge: { delay, onHedge: note } }))).type.toBe<
      Client<HttpError | Late | Open | "no delay" | "no", Session | Desk>
    >()
  })

  test("needs the services of listeners that cannot change a call", () => {
    const noting = { onRejected: () => Effect.flatMap(Desk, (desk) => desk.note) }
    expect(
      client.pipe(
        HttpResilience.standard({
          circuitBreaker: noting,
          bulkhead: { permits: 5, ...noting },
          rateLimiter: { rate, ...noting }
        })
      )
    ).type.toBe<Standard<Late | Open | Full | Limited, Desk>>()
  })

  test("needs budgets, schedules and tags", () => {
    expect(client.pipe(HttpResilience.standard({ budget }))).type.toBe<Standard<Late | Open>>()
    expect(client.pipe(HttpResilience.standard({ budget: Budget }))).type.toBe<
      Standard<Late | Open, Budget>
    >()
    expect(client.pipe(HttpResilience.standard({ retry: { budget: Budget } }))).type.toBe<
      Standard<Late | Open, Budget>
    >()
    expect(client.pipe(HttpResilience.standard({ hedge: { delay: 5, budget: Budget } }))).type.toBe<
      Standard<Late | Open, Budget>
    >()
    const schedule = Schedule.recurs(3).pipe(Schedule.tapOutput(() => Desk))
    expect(client.pipe(HttpResilience.standard({ retry: { schedule } }))).type.toBe<
      Standard<Late | Open, Desk>
    >()
  })

  test("has what parts of one's own add and need, in place of its own", () => {
    expect(
      client.pipe(HttpResilience.standard({ circuitBreaker: HttpResilience.circuitBreaker(Partner) }))
    ).type.toBe<Standard<Late | Open, Partner>>()
    expect(client.pipe(HttpResilience.standard({ circuitBreaker: ownPart }))).type.toBe<
      Standard<Late | "cache down", Desk>
    >()
    expect(
      client.pipe(HttpResilience.standard({ totalTimeout: ownPart, attemptTimeout: ownPart }))
    ).type.toBe<Standard<Open | "cache down", Desk>>()
    expect(client.pipe(HttpResilience.standard({ cache: ownPart }))).type.toBe<
      Standard<Late | Open | "cache down", Desk>
    >()
    expect(
      client.pipe(
        HttpResilience.standard({
          retry: HttpResilience.retry({ budget: Budget, onRetry: note }),
          hedge: HttpResilience.hedge({ delay: 5 }),
          bulkhead: HttpResilience.bulkhead(Places),
          rateLimiter: HttpResilience.rateLimiter(Quota)
        })
      )
    ).type.toBe<Standard<Late | Open | Full | Limited | "no", Budget | Desk | Places | Quota>>()
  })

  test("has a fallback's errors in place of all that are further inside", () => {
    expect(client.pipe(HttpResilience.standard({ fallback }))).type.toBe<
      Client<Late | "nothing stored", Session | Desk>
    >()
    expect(client.pipe(HttpResilience.standard({ fallback, totalTimeout: false }))).type.toBe<
      Client<"nothing stored", Session | Desk>
    >()
    expect(
      client.pipe(
        HttpResilience.standard({
          fallback,
          bulkhead: { permits: 5 },
          cache: ownPart,
          retry: { onRetry: note }
        })
      )
    ).type.toBe<Client<Late | "nothing stored", Session | Desk>>()
  })

  test("keeps all errors beside those of a fallback with a condition", () => {
    const some = HttpResilience.fallback(instead, { condition: { result: ({ status }) => status === 404 } })
    expect(client.pipe(HttpResilience.standard({ fallback: some }))).type.toBe<
      Standard<Late | Open | "nothing stored", Desk>
    >()
  })

  test("knows nothing about options that nothing is known about", () => {
    const options = {} as HttpResilience.StandardOptions
    expect(client.pipe(HttpResilience.standard(options))).type.toBe<Client<unknown, unknown>>()
  })

  test("infers what the functions in its options are given", () => {
    HttpResilience.standard({
      retry: {
        onRetry: (event) => {
          expect(event).type.toBe<Retry.Retried<Response, unknown>>()
          return Effect.void
        },
        condition: { result: (response) => response.status === 503 }
      },
      circuitBreaker: {
        key: (request) => request.headers["tenant"],
        onOpen: (event) => {
          expect(event).type.toBe<CircuitBreaker.StateChange>()
          return Effect.void
        }
      }
    })
  })

  test("refuses what is no part and no option", () => {
    expect(HttpResilience.standard).type.not.toBeCallableWith({ totalTimout: "5 seconds" })
    expect(HttpResilience.standard).type.not.toBeCallableWith({ totalTimeout: "5 parsecs" })
    expect(HttpResilience.standard).type.not.toBeCallableWith({ retry: true })
    expect(HttpResilience.standard).type.not.toBeCallableWith({ cache: {} })
    expect(HttpResilience.standard).type.not.toBeCallableWith({ fallback: instead })
    expect(HttpResilience.standard).type.not.toBeCallableWith({ cache: fallback })
    expect(HttpResilience.standard).type.not.toBeCallableWith({ bulkhead: {} })
    expect(HttpResilience.standard).type.not.toBeCallableWith({ hedge: { maxHedges: 2 } })
    expect(HttpResilience.standard).type.not.toBeCallableWith({ retry: { times: "3" } })
    expect(HttpResilience.standard).type.not.toBeCallableWith({
      retry: { condition: { result: (text: string) => text === "" } }
    })
  })

  test("takes instances, keyed ones and tags, and requires the tags", () => {
    expect(HttpResilience.standard({ circuitBreaker: breakers })).type.toBe<
      HttpResilience.Part<Late | Open>
    >()
    expect(HttpResilience.standard({ circuitBreaker: Partner })).type.toBe<
      HttpResilience.Part<Late | Open, Partner>
    >()
    expect(HttpResilience.standard({ bulkhead: Places, rateLimiter: limiter })).type.toBe<
      HttpResilience.Part<Late | Open | Full | Limited, Places>
    >()
  })

  test("refuses a misspelt option beside one that is spelt right", () => {
    expect(HttpResilience.standard).type.not.toBeCallableWith({ retry: { times: 1, tmes: 2 } })
    expect(HttpResilience.standard).type.not.toBeCallableWith({ totalTimeout: { limit: 1, bodi: true } })
    expect(HttpResilience.standard).type.not.toBeCallableWith({ bulkhead: { permits: 1, queue: 2 } })
    expect(HttpResilience.standard).type.not.toBeCallableWith({ circuitBreaker: { openFor: 1, openfor: 2 } })
    expect(HttpResilience.standard).type.not.toBeCallableWith({ hedge: { delay: 1, hedges: 2 } })
    expect(HttpResilience.standard).type.toBeCallableWith({ retry: { times: 1, maxHint: 2 } })
  })

  test("has the error of a fallback that may be there", () => {
    const fallback = HttpResilience.fallback(() => Effect.fail("nothing to fall back to" as const))
    const options: { readonly fallback: false | typeof fallback } = { fallback }
    expect(pipe(client, HttpResilience.standard(options))).type.toBe<
      Standard<"nothing to fall back to" | Late | Open>
    >()
  })

  test("takes breakers from elsewhere without needing anything for them", () => {
    const breakers = Effect.runSync(CircuitBreaker.keyed())
    expect(
      pipe(client, HttpResilience.standard({ circuitBreaker: HttpResilience.circuitBreaker(breakers) }))
    ).type.toBe<Standard<Late | Open>>()
  })

  test("takes every form of a duration", () => {
    const limit: Duration.DurationInput = [1, 0]
    expect(pipe(client, HttpResilience.standard({ totalTimeout: limit }))).type.toBe<Standard<Late | Open>>()
  })

  test("is a part itself", () => {
    const inner: HttpResilience.Part<Timeout.TimeoutExceeded | CircuitBreaker.CircuitOpen> =
      HttpResilience.standard({ totalTimeout: "1 second" })
    expect(inner).type.toBeAssignableTo<HttpResilience.Part<unknown, unknown>>()
  })

  test("refuses a misspelt option of a part", () => {
    expect(HttpResilience.standard).type.not.toBeCallableWith({ retry: { tmes: 1 } })
    expect(HttpResilience.standard).type.not.toBeCallableWith({ circuitBreaker: { openFr: "1 second" } })
    expect(HttpResilience.standard).type.not.toBeCallableWith({ bulkhead: { permit: 5 } })
  })
})

describe("layer", () => {
  test("gives the client that everything asks for, made of one", () => {
    expect(HttpResilience.layer()).type.toBe<
      Layer.Layer<HttpClient.HttpClient, never, HttpClient.HttpClient>
    >()
    expect(HttpResilience.layer({ totalTimeout: "20 seconds", bulkhead: { permits: 5 } })).type.toBe<
      Layer.Layer<HttpClient.HttpClient, never, HttpClient.HttpClient>
    >()
  })

  test("needs what its parts need, and hides their errors", () => {
    expect(
      HttpResilience.layer({
        retry: { onRetry: note },
        budget: Budget,
        circuitBreaker: HttpResilience.circuitBreaker(Partner),
        fallback: HttpResilience.fallback(instead)
      })
    ).type.toBe<Layer.Layer<HttpClient.HttpClient, never, HttpClient.HttpClient | Desk | Budget | Partner>>()
  })

  test("refuses what a standard client refuses", () => {
    expect(HttpResilience.layer).type.not.toBeCallableWith({ totalTimout: "5 seconds" })
    expect(HttpResilience.layer).type.not.toBeCallableWith({ circuitBreaker: "Partner" })
  })
})

describe("a client of an HttpApi", () => {
  const api = HttpApi.make("offers").add(
    HttpApiGroup.make("offers").add(HttpApiEndpoint.get("offer", "/offer").addSuccess(Schema.String))
  )
  const resilient = HttpResilience.standard()
  type Transform = NonNullable<NonNullable<Parameters<typeof HttpApiClient.make>[1]>["transformClient"]>

  test("takes a client that is sealed, and no other", () => {
    const made = HttpApiClient.make(api, {
      baseUrl: "http://localhost:3000",
      transformClient: (inner) => inner.pipe(resilient, HttpResilience.sealed)
    })
    expect(made).type.toBeAssignableTo<Effect.Effect<unknown, never, HttpClient.HttpClient>>()
    const offer = Effect.flatMap(made, ({ offers }) => offers.offer())
    expect(offer).type.toBe<
      Effect.Effect<
        string,
        HttpApiError.HttpApiDecodeError | HttpError | ParseResult.ParseError,
        HttpClient.HttpClient
      >
    >()

    expect(HttpResilience.sealed).type.toBeAssignableTo<Transform>()
    expect(flow(resilient, HttpResilience.sealed)).type.toBeAssignableTo<Transform>()
    expect(HttpResilience.retry()).type.toBeAssignableTo<Transform>()
    expect(resilient).type.not.toBeAssignableTo<Transform>()
    expect(HttpResilience.timeout("1 second")).type.not.toBeAssignableTo<Transform>()
    expect(
      flow(HttpResilience.circuitBreaker(Partner), HttpResilience.sealed)
    ).type.not.toBeAssignableTo<Transform>()
  })

  test("keeps the errors of its parts when it is made with the client itself", () => {
    const offer = Effect.flatMap(
      HttpApiClient.makeWith(api, { httpClient: client.pipe(HttpResilience.standard()) }),
      ({ offers }) => offers.offer()
    )
    expect(offer).type.toBe<
      Effect.Effect<
        string,
        HttpApiError.HttpApiDecodeError | HttpError | ParseResult.ParseError | "signed out" | Late | Open,
        Session
      >
    >()
  })
})
