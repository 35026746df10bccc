// That an interruption leaves nothing behind, whichever step of a call it comes at, and that neither listeners nor callers
// who do strange things do. The client is in memory and knows of every request what became of it.
import {
  Cookies,
  Headers,
  HttpClient,
  HttpClientRequest,
  HttpClientResponse,
  HttpIncomingMessage
} from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import {
  Effect,
  type ExecutionStrategy,
  Exit,
  Fiber,
  FiberRef,
  Inspectable,
  Option,
  Schedule,
  Scope,
  Stream,
  TestClock
} from "effect"
import { Trip } from "effect-resilience"
import { HttpResilience } from "effect-resilience/http"
import { interruptedAtEveryStep, runToEnd } from "../../support/everyStep.js"
import { finish } from "../../support/virtual.js"
import { spans } from "../support/clients.js"
import { runs } from "../../support/runs.js"

type Client = HttpClient.HttpClient.With<unknown>

/** What became of a request. */
interface Sent {
  readonly request: HttpClientRequest.HttpClientRequest
  answer: MemoryResponse | undefined
  aborted: boolean
  read: boolean
}

/** A response whose body is read without a promise, or never ends. */
class MemoryResponse extends Inspectable.Class implements HttpClientResponse.HttpClientResponse {
  readonly [HttpClientResponse.TypeId]: HttpClientResponse.TypeId = HttpClientResponse.TypeId
  readonly [HttpIncomingMessage.TypeId]: HttpIncomingMessage.TypeId = HttpIncomingMessage.TypeId
  readonly headers: Headers.Headers
  readonly cookies = Cookies.empty
  readonly remoteAddress = Option.none()

  constructor(
    readonly request: HttpClientRequest.HttpClientRequest,
    readonly status: number,
    private readonly content: Content,
    private readonly sent: Sent
  ) {
    super()
    this.headers = Headers.fromInput(content.headers ?? {})
  }

  private body<A>(value: A): Effect.Effect<A> {
    return this.content.endless === true
      ? Effect.never
      : Effect.sync(() => {
          this.sent.read = true
          return value
        })
  }

  readonly json = Effect.suspend(() => this.body(null))
  readonly text = Effect.suspend(() => this.body("body"))
  readonly urlParamsBody = Effect.suspend(() => this.body([]))
  readonly arrayBuffer = Effect.suspend(() => this.body(new ArrayBuffer(4)))
  readonly formData = Effect.suspend(() => this.body(new FormData()))
  readonly stream = Stream.unwrap(Effect.sync(() => Stream.fromEffect(this.body(new Uint8Array(4)))))

  toJSON(): unknown {
    return { status: this.status }
  }
}

interface Content {
  readonly headers?: Readonly<Record<string, string>>
  readonly endless?: boolean
  readonly after?: number
}

type Step = readonly [status: number, content?: Content]

/** Answers each request with the next step, and the later ones with the last. */
const memory = (...steps: readonly [Step, ...Array<Step>]) => {
  const sent: Array<Sent> = []
  const client = HttpClient.make((request, _, signal) =>
    Effect.suspend(() => {
      const one: Sent = { request, answer: undefined, aborted: signal.aborted, read: false }
      signal.addEventListener("abort", () => (one.aborted = true))
      const [status, content = {}] = steps[Math.min(sent.length, steps.length - 1)] ?? steps[0]
      sent.push(one)
      const answer = Effect.sync(() => (one.answer = new MemoryResponse(request, status, content, one)))
      return content.after === undefined ? answer : Effect.delay(answer, content.after)
    })
  )
  return { client, sent }
}

/** Those that hold a connection: neither read to their end nor aborted. */
const open = (sent: ReadonlyArray<Sent>) => sent.filter(({ aborted, read }) => !aborted && !read)

const get = HttpClientRequest.get("http://service.test/thing")
const endless = { endless: true }
const soon = { endless: true, after: 10 }
const spaced = { times: 2, schedule: Schedule.spaced(20) }
const atOnce = { times: 3, schedule: Schedule.forever }

const slowInstead = HttpResilience.fallback((_, request) =>
  Effect.delay(
    Effect.sync(() => HttpClientResponse.fromWeb(request, new Response("instead"))),
    20
  )
)

interface Scenario {
  readonly name: string
  readonly protect: (client: Client) => Client
  readonly steps: readonly [Step, ...Array<Step>]
  /** Has so many steps that it is run in one way only. */
  readonly long?: true
  /** Is interrupted at one in so many of its steps, by default one in eight, but in the long run of the tests at each. */
  readonly every?: number
}

const scenarios: ReadonlyArray<Scenario> = [
  {
    name: "a retry that drains, waits, and succeeds",
    protect: (client) => client.pipe(HttpResilience.retry(spaced)),
    steps: [
      [503, soon],
      [200, soon]
    ],
    long: true
  },
  {
    name: "a retry that cuts off",
    protect: (client) => client.pipe(HttpResilience.retry(spaced)),
    steps: [
      [503, { endless: true, headers: { "content-length": "100000" } }],
      [200, soon]
    ]
  },
  {
    name: "a timeout at the moment of the answer",
    protect: (client) => client.pipe(HttpResilience.timeout(10)),
    steps: [[200, soon]]
  },
  {
    name: "hedges of which all answer",
    protect: (client) => client.pipe(HttpResilience.hedge({ delay: 5, maxHedges: 2 })),
    steps: [
      [500, soon],
      [500, { endless: true, after: 5 }],
      [200, soon]
    ]
  },
  {
    name: "two answers at one moment",
    protect: (client) => client.pipe(HttpResilience.hedge({ delay: 5 })),
    steps: [
      [200, soon],
      [200, { endless: true, after: 5 }]
    ]
  },
  {
    name: "a fallback that takes its time",
    protect: (client) => client.pipe(slowInstead),
    steps: [[503, soon]]
  },
  {
    name: "a circuit breaker with listeners, inside of a retry",
    protect: (client) =>
      client.pipe(
        HttpResilience.circuitBreaker({
          trip: Trip.consecutive(9),
          onSuccess: () => Effect.sleep(5),
          onFailure: () => Effect.sleep(5)
        }),
        HttpResilience.retry(spaced)
      ),
    steps: [
      [503, soon],
      [200, soon]
    ],
    long: true
  },
  {
    name: "a place in a bulkhead",
    protect: (client) => client.pipe(HttpResilience.bulkhead({ permits: 1 })),
    steps: [[200, soon]]
  },
  {
    name: "timeouts with bodies, inside of hedge and retry",
    protect: (client) =>
      client.pipe(
        HttpResilience.timeout({ limit: 100, body: true }),
        HttpResilience.hedge({ delay: 5 }),
        HttpResilience.retry(spaced)
      ),
    steps: [
      [503, soon],
      [200, soon]
    ],
    long: true
  },
  {
    name: "everything, twice",
    every: runs(23, 1),
    protect: (client) =>
      client.pipe(
        HttpResilience.standard({ retry: spaced, hedge: { delay: 15 }, bulkhead: { permits: 5 } }),
        HttpResilience.standard({ retry: spaced, fallback: slowInstead })
      ),
    steps: [
      [503, soon],
      [500, { endless: true, after: 20 }],
      [200, soon]
    ]
  }
]

describe("a call that is interrupted at every step", () => {
  it.each(scenarios)(
    "aborts the requests without an answer: $name",
    ({ every = runs(8, 1), protect, steps }) => {
      let sent: ReadonlyArray<Sent> = []
      let answered = 0
      const count = interruptedAtEveryStep(
        () => {
          const memorized = memory(...steps)
          sent = memorized.sent
          return protect(memorized.client).execute(get)
        },
        ({ exit }) => {
          assert.isDefined(exit)
          if (exit?._tag === "Success") answered += 1
          assert.deepStrictEqual(
            open(sent).filter(({ answer }) => answer === undefined),
            []
          )
        },
        every
      )
      assert.isAbove(count, 20)
      assert.isAtLeast(answered, 1)
    }
  )

  const scopes = [
    ["outside of", (protect: Scenario["protect"], client: Client) => HttpClient.withScope(protect(client))],
    [
      "inside of",
      (protect: Scenario["protect"], client: Client) => protect(HttpClient.withScope(client) as Client)
    ]
  ] as const

  describe.each(scopes)("with HttpClient.withScope %s the parts", (_, compose) => {
    it.each(scenarios.filter(({ long }) => long !== true))(
      "leaves nothing that outlives the scope: $name",
      ({ every = runs(8, 1), protect, steps }) => {
        let sent: ReadonlyArray<Sent> = []
        interruptedAtEveryStep(
          () => {
            const memorized = memory(...steps)
            sent = memorized.sent
            return Effect.scoped(compose(protect, memorized.client).execute(get))
          },
          ({ exit }) => {
            assert.isDefined(exit)
            assert.deepStrictEqual(open(sent), [])
          },
          every
        )
      }
    )
  })
})

/** What a scope does when something is put into it, which its type leaves out. */
interface Finalizable {
  readonly addFinalizer: (finalizer: Scope.Scope.Finalizer) => Effect.Effect<void>
  readonly fork: (strategy: ExecutionStrategy.ExecutionStrategy) => Effect.Effect<Scope.CloseableScope>
}

describe("the rest of a finished call", () => {
  const kept = (exit: Exit.Exit<unknown, unknown>, sent: ReadonlyArray<Sent>) =>
    assert.deepStrictEqual({ tag: exit._tag, open: open(sent).length }, { tag: "Failure", open: 0 })

  const cases: ReadonlyArray<readonly [string, (client: Client) => Client]> = [
    [
      "a listener before the delay fails",
      HttpResilience.retry({ onRetryScheduled: () => Effect.fail("no") })
    ],
    [
      "a listener after the last attempt fails",
      HttpResilience.retry({ times: 0, onExceeded: () => Effect.fail("no") })
    ],
    [
      "a listener hangs until the total timeout",
      HttpResilience.standard({
        totalTimeout: 100,
        attemptTimeout: 100,
        retry: { times: 0, onExceeded: () => Effect.never }
      })
    ],
    [
      "a condition throws",
      HttpResilience.retry({
        condition: () => {
          throw new Error("bug")
        }
      })
    ],
    ["a fallback fails", HttpResilience.fallback<string, never>(() => Effect.fail("no"))],
    [
      "a fallback throws",
      HttpResilience.fallback<never, never>(() => {
        throw new Error("bug")
      })
    ],
    [
      "a listener of a hedge fails",
      HttpResilience.hedge({ delay: 5, condition: { result: () => true }, onHedge: () => Effect.fail("no") })
    ]
  ]

  it.each(cases)("is nothing when %s", (_, protect) => {
    const { client, sent } = memory([500, endless])
    const { exit } = runToEnd(protect(client).execute(get))
    kept(exit ?? Exit.void, sent)
  })

  it("is nothing when a client dies or throws", () => {
    for (const broken of [
      HttpClient.make(() => Effect.die("bug")),
      HttpClient.make(() => {
        throw new Error("bug")
      })
    ]) {
      const { exit } = runToEnd(HttpResilience.standard({ hedge: { delay: 5 } })(broken).execute(get))
      assert.isTrue(exit?._tag === "Failure")
    }
  })

  it.live("is nothing in a scope around it, however many calls there are", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { addFinalizer, fork } = scope as unknown as Finalizable
      let finalizers = 0
      const counting: Finalizable = {
        addFinalizer: (finalizer) => {
          finalizers += 1
          return addFinalizer.call(scope, finalizer)
        },
        fork: (strategy) => {
          finalizers += 1
          return fork.call(scope, strategy)
        }
      }
      Object.assign(scope, counting)
      const { client } = memory([200])
      const resilient = HttpResilience.standard({ hedge: { delay: "1 second" } })(client)
      yield* Effect.repeatN(resilient.get("http://service.test/thing"), 500).pipe(
        Effect.provideService(Scope.Scope, scope)
      )
      assert.strictEqual(finalizers, 0)
    })
  )
})

describe("a call that runs", () => {
  it.live("stops reading the rest of a response that is replaced when it is interrupted", () =>
    Effect.gen(function* () {
      const { client, sent } = memory([503, endless])
      const fiber = yield* Effect.fork(HttpResilience.retry(atOnce)(client).execute(get))
      yield* Effect.yieldNow()
      assert.strictEqual(sent.length, 1)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(sent.length, 1)
      assert.deepStrictEqual(open(sent), [])
    })
  )

  it.effect("sends no more when it is interrupted in the delay", () =>
    Effect.gen(function* () {
      const { client, sent } = memory([503])
      const fiber = yield* Effect.fork(HttpResilience.retry(spaced)(client).execute(get))
      yield* TestClock.adjust(15)
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(sent.length, 1)
    })
  )

  it.effect("makes a request of its own for each attempt, even when many calls share one object", () =>
    Effect.gen(function* () {
      const { client, sent } = memory([503], ...Array.from({ length: 98 }, (): Step => [503]), [200])
      const whole = client.pipe(HttpResilience.hedge({ delay: "1 second" }), HttpResilience.retry(atOnce))
      const all = Effect.forEach(Array.from({ length: 100 }), () => whole.execute(get), {
        concurrency: "unbounded"
      })
      const exit = yield* finish(all)
      assert.isTrue(Exit.isSuccess(exit))
      assert.strictEqual(new Set(sent.map(({ request }) => request)).size, sent.length)
      assert.isFalse(sent.some(({ request }) => request === get))
    })
  )

  it.effect("counts its own attempts, not those of the request object", () =>
    Effect.gen(function* () {
      const traced = spans()
      const { client } = memory([503], [503], [200], [503], [200])
      const whole = HttpResilience.retry(atOnce)(client)
      yield* finish(traced.collect(whole.execute(get)))
      yield* finish(traced.collect(whole.execute(get)))
      assert.deepStrictEqual(traced.ofAttempts("http.request.resend_count"), [undefined, 1, 2, undefined, 1])
    })
  )

  it.effect("keeps the FiberRefs that were set inside", () =>
    Effect.gen(function* () {
      const ref = FiberRef.unsafeMake(0)
      const setting = HttpClient.transformResponse(memory([200]).client, Effect.tap(FiberRef.set(ref, 7)))
      yield* HttpResilience.standard({ hedge: { delay: "1 second" } })(setting).execute(get)
      assert.strictEqual(yield* FiberRef.get(ref), 7)
    })
  )
})

describe("clients around clients", () => {
  it.effect.each([
    ["as it is", (client: Client) => client],
    ["sealed", (client: Client) => HttpResilience.sealed(client)]
  ] as const)("send the product of their attempts at most: the inner one %s", ([, seal]) =>
    Effect.gen(function* () {
      const { client, sent } = memory([503])
      const standard = () =>
        HttpResilience.standard({ budget: false, circuitBreaker: false, retry: { ...atOnce, times: 2 } })
      yield* finish(standard()(seal(standard()(client))).execute(get))
      assert.strictEqual(sent.length, 9)
      // The last one comes back.
      assert.strictEqual(open(sent).length, 1)
    })
  )

  it.effect("prepare a request once, from inside to outside, however often it is sent", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const note = (what: string) =>
        HttpClient.mapRequest((request) => {
          log.push(what)
          return request
        })
      const { client, sent } = memory([503], [503], [200])
      const whole = client.pipe(
        note("inner"),
        HttpResilience.retry(atOnce),
        note("middle"),
        HttpResilience.standard(),
        note("outer"),
        HttpResilience.sealed
      )
      yield* finish(whole.execute(get))
      assert.deepStrictEqual({ log, sent: sent.length }, { log: ["inner", "middle", "outer"], sent: 3 })
    })
  )
})
