/**
 * A function guarded by policies does what its effect does in a pipe with them, and starts no fiber as long as nothing has to wait.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Context,
  Effect,
  Exit,
  FastCheck,
  FiberRef,
  Layer,
  Logger,
  ManagedRuntime,
  Runtime,
  TestClock,
  TestContext,
  Tracer
} from "effect"
import {
  Backoff,
  Bulkhead,
  CircuitBreaker,
  Fallback,
  Hedge,
  Policy,
  RateLimiter,
  Retry,
  Timeout,
  Trip
} from "effect-resilience"
import { AsyncLocalStorage } from "node:async_hooks"
import { getEventListeners } from "node:events"
import { runLive } from "../support/live.js"
import { runs } from "../support/runs.js"

const down = new Error("down")
const breakerOf = () =>
  Effect.runSync(CircuitBreaker.make({ name: "partner", trip: Trip.consecutive(2), openFor: "1 hour" }))

class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}

/** How a promise is settled. */
const settled = (promise: Promise<unknown>): Promise<readonly [how: string, what: unknown]> =>
  promise.then(
    (value) => ["resolved", value] as const,
    (error: unknown) => ["rejected", error] as const
  )

const sleep = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

// -------------------------------------------------------------------------------------------------------- against a pipe

type Body = Effect.Effect<unknown, unknown>
type Apply = (self: Body) => Body
type Promised = (
  ...policies: ReadonlyArray<Apply>
) => (run: (call: Policy.Call) => unknown) => Policy.Guarded<[], unknown>
const promised = Policy.promise as unknown as Promised

const kinds = [
  "timeout",
  "breaker",
  "retry",
  "fallback",
  "bulkhead",
  "limiter",
  "hedge",
  "plain",
  "again"
] as const

interface Spec {
  readonly kind: (typeof kinds)[number]
  readonly heard: boolean
  readonly choice: number
}

interface Case {
  readonly specs: ReadonlyArray<Spec>
  readonly steps: ReadonlyArray<{ readonly millis: number; readonly fails: boolean }>
  /** When each call begins, after the one before began. */
  readonly gaps: ReadonlyArray<number>
  /** When the first call is aborted. */
  readonly abortedAt: number | undefined
}

const millis = FastCheck.oneof(FastCheck.constant(0), FastCheck.integer({ min: 1, max: 15 })).map(
  (time) => time * 1000
)

const cases = (of: ReadonlyArray<Spec["kind"]>): FastCheck.Arbitrary<Case> =>
  FastCheck.record({
    specs: FastCheck.array(
      FastCheck.record({
        kind: FastCheck.constantFrom(...of),
        heard: FastCheck.boolean(),
        choice: FastCheck.nat(3)
      }),
      { minLength: 1, maxLength: 5 }
    ),
    steps: FastCheck.array(FastCheck.record({ millis, fails: FastCheck.boolean() }), {
      minLength: 1,
      maxLength: 6
    }),
    // Apart from all sums of other times, so that no two things of different calls happen at one instant.
    gaps: FastCheck.array(
      millis.map((gap) => gap + 17),
      { minLength: 1, maxLength: 4 }
    ),
    abortedAt: FastCheck.option(
      FastCheck.integer({ min: 0, max: 30 }).map((at) => at * 1000 + 223),
      { nil: undefined }
    )
  })

const built = (specs: ReadonlyArray<Spec>, log: Array<string>) => {
  const note = (what: string) => Effect.sync(() => void log.push(`${Date.now()} ${what}`))
  const instances: Array<{ readonly snapshot: Effect.Effect<object> }> = []
  const protections: Array<unknown> = []
  const kept = <A extends { readonly snapshot: Effect.Effect<object>; readonly protect: unknown }>(
    make: Effect.Effect<A>
  ) => {
    const instance = Effect.runSync(make)
    instances.push(instance)
    protections.push(instance.protect)
    return instance.protect
  }
  const policies = specs.map(({ choice, heard, kind }, position) => {
    const listen = (what: string) => () => note(`${kind} ${position} ${what}`)
    switch (kind) {
      case "timeout":
        return Timeout.timeout({
          limit: choice * 5003,
          disconnect: choice === 3,
          ...(heard && { onTimeout: listen("timeout") })
        })
      case "breaker": {
        const options = { name: "breaker", trip: Trip.consecutive(choice + 1), openFor: 20_011 }
        const heardOptions = { ...options, onFailure: listen("failure"), onRejected: listen("rejected") }
        return kept(CircuitBreaker.make(heard ? heardOptions : options))
      }
      case "retry":
        return Retry.retry({
          times: choice,
          schedule: Backoff.constant({ delay: choice === 2 ? 7013 : 0 }),
          ...(heard && { onRetry: listen("retry"), onExceeded: listen("exceeded") })
        })
      case "fallback":
        return Fallback.succeed("instead", heard ? { onFallback: listen("fallback") } : {})
      case "bulkhead":
        return kept(Bulkhead.make({ permits: 1, maxQueued: choice, retryAfterJitter: 0 }))
      case "limiter":
        return kept(
          RateLimiter.make({
            rate: RateLimiter.bursty({ limit: choice + 1, per: 10_007 }),
            maxWait: heard ? 10_031 : 0
          })
        )
      case "hedge":
        return Hedge.hedge({ delay: choice * 3001 + 1 })
      case "again":
        return protections[choice % protections.length] ?? Fallback.succeed("again")
      case "plain":
        return (self: Body): Body => Effect.onExit(self, () => note(`plain ${position}`))
    }
  }) as ReadonlyArray<Apply>
  return { policies, instances }
}

/** How the calls of a case end in one of the forms, what was told, and what the instances have counted. */
const told = ({ abortedAt, gaps, specs, steps }: Case, guarded: Promised) =>
  runLive(async () => {
    const log: Array<string> = []
    const { instances, policies } = built(specs, log)
    let run = 0
    const call = guarded(...policies)(async ({ signal }) => {
      const number = run++
      const { fails, millis } = steps[number % steps.length]
      log.push(`${Date.now()} run ${number}`)
      signal.addEventListener("abort", () => log.push(`${Date.now()} aborted ${number}`))
      if (millis > 0) await sleep(millis)
      if (fails) throw `failed ${number}`
      return number
    })
    const controller = new AbortController()
    const endings: Array<Promise<unknown>> = []
    if (abortedAt !== undefined) setTimeout(() => controller.abort("no more"), abortedAt)
    for (const [index, gap] of gaps.entries()) {
      await sleep(gap)
      const promise = index === 0 ? call.withSignal(controller.signal)() : call()
      endings.push(settled(promise).then((how) => [how[0], shown(how[1]), Date.now()]))
    }
    const ended = await Promise.all(endings)
    await sleep(1_000_000)
    const snapshots = instances.map(({ snapshot }) => Effect.runSync(snapshot))
    // What happens at one instant takes as many turns as its form needs.
    return { log: log.sort(), ended, snapshots }
  })

const shown = (what: unknown): string =>
  what instanceof Error ? `${what.name} ${JSON.stringify(what)}` : String(what)

/** What it is compared with. */
const inPipe: Promised =
  (...policies) =>
  (run) => {
    const body: Effect.Effect<unknown, unknown> = Effect.tryPromise({
      try: async (signal) => run({ signal }),
      catch: (error) => error as Error | string
    })
    const whole = policies.reduce((inner, policy) => policy(inner), body)
    const within = (signal?: AbortSignal) => async () => {
      signal?.throwIfAborted()
      const exit = await Effect.runPromiseExit(whole, signal && { signal })
      if (Exit.isSuccess(exit)) return exit.value
      throw signal?.aborted === true ? signal.reason : Cause.squash(exit.cause)
    }
    return Object.assign(within(), { withSignal: within })
  }

const agrees = (of: ReadonlyArray<Spec["kind"]>) =>
  FastCheck.assert(
    FastCheck.asyncProperty(cases(of), async (generated) =>
      assert.deepStrictEqual(await told(generated, promised), await told(generated, inPipe))
    ),
    { numRuns: runs(60, 2000) }
  )

describe("a guarded function does what its effect does in a pipe", () => {
  it("where the policies decide at once", () => agrees(["timeout", "breaker", "retry", "fallback"]))
  it("where permits are held", () => agrees(["timeout", "bulkhead", "limiter", "breaker"]))
  it("where an instance stands twice", () => agrees(["timeout", "bulkhead", "breaker", "retry", "again"]))
  it("whatever the policies", () => agrees(kinds))
})

// ------------------------------------------------------------------------------------------------------------ settling

describe("a guarded function", () => {
  it("takes the arguments of the function, and resolves with its result", async () => {
    const add = Policy.promise(Timeout.timeout("1 second"))((_, left: number, right: number) => left + right)
    assert.strictEqual(await add(1, 2), 3)
    assert.strictEqual(await add.withSignal(new AbortController().signal)(3, 4), 7)
  })

  it("rejects with what the function threw or was rejected with", async () => {
    const guard = Policy.promise(Timeout.timeout("1 second"), breakerOf().protect, Retry.retry({ times: 0 }))
    const broken = guard((_, isLate: boolean): Promise<string> => {
      if (isLate) return Promise.reject(down)
      throw down
    })
    for (const isLate of [true, false]) {
      const [how, error] = await settled(broken(isLate))
      assert.strictEqual(how, "rejected")
      assert.strictEqual(error, down)
    }
  })

  it("rejects with the error of a policy itself, and without a call of the function", async () => {
    let calls = 0
    const breaker = breakerOf()
    const call = Policy.promise(breaker.protect)(() => Promise.reject(new Error(`down ${++calls}`)))
    await settled(call())
    await settled(call())
    const [, error] = await settled(call())
    assert.instanceOf(error, CircuitBreaker.CircuitOpen)
    assert.strictEqual(calls, 2)
    assert.strictEqual(Effect.runSync(breaker.state), "open")
  })

  it("tells the function by its signal that its time is over", async () => {
    const [how, error] = await runLive(async () => {
      let isAborted = false
      const call = Policy.promise(Timeout.timeout("1 second"))(({ signal }) => {
        signal.addEventListener("abort", () => (isAborted = true))
        return new Promise<never>(() => {})
      })
      const ending = await settled(call())
      assert.isTrue(isAborted)
      return ending
    })
    assert.strictEqual(how, "rejected")
    assert.instanceOf(error, Timeout.TimeoutExceeded)
  })

  it("rejects with a defect as it is", async () => {
    const broken = new Error("the condition is broken")
    const condition = {
      result: (): boolean => {
        throw broken
      }
    }
    const call = Policy.promise(breakerOf().protectWhen(condition))(() => Promise.resolve(1))
    const [how, error] = await settled(call())
    assert.strictEqual(how, "rejected")
    assert.strictEqual(error, broken)
  })

  it("rejects with the error of a listener, but not with its defect", async () => {
    const again = (onRetry: () => Effect.Effect<never, string>) =>
      settled(Policy.promise(Retry.retry({ times: 1, onRetry }))(() => Promise.reject(down))())
    const logger = Logger.replace(Logger.defaultLogger, Logger.none)
    assert.deepStrictEqual(await again(() => Effect.fail("not told")), ["rejected", "not told"])
    const call = Policy.promise(Retry.retry({ times: 1, onRetry: () => Effect.die("broken") })).provide(
      logger
    )
    assert.deepStrictEqual(await settled(call(() => Promise.reject(down))()), ["rejected", down])
  })

  it("rejects with an AbortError when it was interrupted from within", async () => {
    const call = Policy.promise(() => Effect.interrupt)(() => 1)
    const [how, error] = await settled(call())
    assert.strictEqual(how, "rejected")
    assert.strictEqual((error as Error).name, "AbortError")
  })

  it("begins again in a fiber after a failure", async () => {
    let calls = 0
    const call = Policy.promise(
      Retry.retry({ times: 3, schedule: Backoff.constant({ delay: 0 }) }),
      Fallback.succeed("cold")
    )(() => (++calls < 3 ? Promise.reject(down) : Promise.resolve("hot")))
    assert.strictEqual(await call(), "hot")
    assert.strictEqual(calls, 3)
  })
})

// ------------------------------------------------------------------------------------------------------------ aborting

describe("the signal of the caller", () => {
  const ways: Record<string, Apply> = {
    "while the function runs": (self) => self,
    "while a bulkhead holds a permit": Effect.runSync(Bulkhead.make({ permits: 1 })).protect,
    "within a timeout": Timeout.timeout("1 hour"),
    "within a hedge": Hedge.hedge({ delay: "1 hour" }),
    "while a retry waits": Retry.retry({
      times: 1,
      schedule: Backoff.constant({ delay: "1 hour" }),
      condition: { result: (result) => result === "again" }
    })
  }
  for (const [when, policy] of Object.entries(ways)) {
    it(`rejects with its reason, ${when}`, async () => {
      const reasons: Array<unknown> = []
      const controller = new AbortController()
      let begun = () => {}
      const running = new Promise<void>((resolve) => (begun = resolve))
      const call = promised(
        policy,
        Fallback.succeed("instead")
      )(({ signal }) => {
        signal.addEventListener("abort", () => reasons.push(signal.reason))
        begun()
        return when === "while a retry waits" ? Promise.resolve("again") : new Promise(() => {})
      })
      const ending = settled(call.withSignal(controller.signal)())
      await running
      await new Promise((resolve) => setImmediate(resolve))
      controller.abort("no longer wanted")
      assert.deepStrictEqual(await ending, ["rejected", "no longer wanted"])
      assert.deepStrictEqual(reasons, when === "while a retry waits" ? [] : ["no longer wanted"])
    })
  }

  it("that is aborted already keeps the function from running", async () => {
    let calls = 0
    const call = Policy.promise(Timeout.timeout("1 second"))(() => ++calls)
    assert.deepStrictEqual(await settled(call.withSignal(AbortSignal.abort("gone"))()), ["rejected", "gone"])
    assert.strictEqual(calls, 0)
  })

  it("gives a permit back, and counts for nothing in a breaker", async () => {
    const bulkhead = Effect.runSync(Bulkhead.make({ permits: 1 }))
    const breaker = breakerOf()
    const controller = new AbortController()
    const call = Policy.promise(
      breaker.protect,
      bulkhead.protect
    )((_, wait: boolean) => (wait ? new Promise<number>(() => {}) : 1))
    const ending = settled(call.withSignal(controller.signal)(true))
    assert.strictEqual(Effect.runSync(bulkhead.snapshot).inUse, 1)
    controller.abort()
    await ending
    assert.deepInclude(Effect.runSync(bulkhead.snapshot), { inUse: 0, successes: 0, failures: 0 })
    assert.deepInclude(Effect.runSync(breaker.snapshot), { successes: 0, failures: 0 })
    assert.strictEqual(await call(false), 1)
  })

  it("changes nothing about a call that has ended", async () => {
    const breaker = breakerOf()
    const controller = new AbortController()
    const ending = settled(Policy.promise(breaker.protect)(() => 1).withSignal(controller.signal)())
    const { snapshot } = breaker
    for (let turn = 0; turn < 100 && Effect.runSync(snapshot).successes === 0; turn++) await Promise.resolve()
    assert.strictEqual(Effect.runSync(snapshot).successes, 1)
    controller.abort("late")
    assert.deepStrictEqual(await ending, ["resolved", 1])
  })

  it("is left alone when the call is over", async () => {
    const { signal } = new AbortController()
    const call = Policy.promise(Timeout.timeout("1 second"))((_, fails: boolean) =>
      fails ? Promise.reject(down) : 1
    )
    await settled(call.withSignal(signal)(true))
    await settled(call.withSignal(signal)(false))
    assert.lengthOf(getEventListeners(signal, "abort"), 0)
  })
})

describe("a call that aborts its own signal", () => {
  const hour = Backoff.constant({ delay: "1 hour" })
  const ways: Record<string, (abort: () => void) => Apply> = {
    "in a function that a fiber runs": () => Hedge.hedge({ delay: "1 hour" }),
    "in a listener": (abort) =>
      Retry.retry({
        times: 1,
        schedule: hour,
        condition: { result: () => true },
        onRetryScheduled: () => Effect.sync(abort)
      })
  }
  for (const [where, policy] of Object.entries(ways)) {
    it(`is rejected with its reason, ${where}`, async () => {
      const controller = new AbortController()
      const abort = () => controller.abort("enough")
      const call = promised(policy(abort))(() => {
        if (where === "in a listener") return 1
        abort()
        return new Promise(() => {})
      })
      assert.deepStrictEqual(await settled(call.withSignal(controller.signal)()), ["rejected", "enough"])
    })
  }

  it("when a timeout ends it does not notify the listener of the timeout", async () => {
    const controller = new AbortController()
    let told = 0
    const ending = await runLive(() =>
      settled(
        Policy.promise(Timeout.timeout({ limit: "1 second", onTimeout: () => Effect.sync(() => told++) }))(
          ({ signal }) => {
            signal.addEventListener("abort", () => controller.abort("enough"))
            return new Promise<never>(() => {})
          }
        ).withSignal(controller.signal)()
      )
    )
    assert.deepStrictEqual([ending, told], [["rejected", "enough"], 0])
  })
})

describe("many calls with one signal", () => {
  it("share a listener, and all end with it", async () => {
    const controller = new AbortController()
    const { signal } = controller
    const call = Policy.promise(Timeout.timeout("1 hour"))(() => new Promise<never>(() => {}))
    const all = Array.from({ length: 20 }, () => settled(call.withSignal(signal)()))
    assert.lengthOf(getEventListeners(signal, "abort"), 1)
    controller.abort("stop")
    for (const ending of await Promise.all(all)) assert.deepStrictEqual(ending, ["rejected", "stop"])
    assert.lengthOf(getEventListeners(signal, "abort"), 0)
  })
})

describe("a policy that throws when it is applied", () => {
  it("fails the call, which gives back its permit and its signal", async () => {
    const bulkhead = Effect.runSync(Bulkhead.make({ permits: 1 }))
    const { signal } = new AbortController()
    const broken: Apply = () => {
      throw down
    }
    const call = promised(broken, bulkhead.protect)(() => 1)
    assert.deepStrictEqual(await settled(call.withSignal(signal)()), ["rejected", down])
    assert.strictEqual(Effect.runSync(bulkhead.snapshot).inUse, 0)
    assert.lengthOf(getEventListeners(signal, "abort"), 0)
  })
})

describe("an instance that stands twice among the policies", () => {
  it("is a bulkhead that gives one permit to a call", async () => {
    const { protect } = Effect.runSync(Bulkhead.make({ permits: 1 }))
    assert.strictEqual(await Policy.promise(protect, Timeout.timeout("1 hour"), protect)(() => 1)(), 1)
  })

  it("is a breaker that counts a call once", async () => {
    const breaker = breakerOf()
    await settled(Policy.promise(breaker.protect, breaker.protectWhen({}))(() => Promise.reject(down))())
    assert.deepInclude(Effect.runSync(breaker.snapshot), { state: "closed", failures: 1 })
  })

  it("is that of a tag as well", async () => {
    const runtime = ManagedRuntime.make(Partner.layer({ trip: Trip.consecutive(2) }))
    const guard = Policy.promise(Partner.protect, Retry.retry({ times: 0 }), Partner.protect).provide(runtime)
    await settled(guard(() => Promise.reject(down))())
    assert.strictEqual(await runtime.runPromise(Partner.state), "closed")
    await runtime.dispose()
  })
})

// ------------------------------------------------------------------------------------------------ services and context

describe("the services of policies", () => {
  const guard = Policy.promise(Timeout.timeout("1 second"), Partner.protect)
  const layer = Partner.layer({ trip: Trip.consecutive(1) })
  const fails = () => Promise.reject(down)

  it("come from a layer that is built once", async () => {
    let built = 0
    const counted = Layer.effectDiscard(Effect.sync(() => built++))
    const { provide } = guard
    const call = provide(Layer.merge(layer, counted))(fails)
    await Promise.all([settled(call()), settled(call())])
    const [, error] = await settled(call())
    assert.instanceOf(error, CircuitBreaker.CircuitOpen)
    assert.strictEqual(built, 1)
  })

  it("come from a managed runtime, which disposes of them", async () => {
    const runtime = ManagedRuntime.make(layer)
    const call = guard.provide(runtime)(fails)
    await settled(call())
    assert.strictEqual(await runtime.runPromise(Partner.state), "open")
    await runtime.dispose()
  })

  it("come from a runtime", async () => {
    const runtime = await Effect.runPromise(Effect.scoped(Layer.toRuntime(layer)))
    const call = guard.provide(runtime)(fails)
    await settled(call())
    assert.strictEqual(Runtime.runSync(runtime)(Partner.state), "open")
  })

  it("cannot be had from a layer that fails, and its error is that of the call", async () => {
    const call = guard.provide(Layer.fail("no configuration") as Layer.Layer<Partner, unknown>)(fails)
    assert.deepStrictEqual(await settled(call()), ["rejected", "no configuration"])
  })

  it("are not waited for longer than the signal allows", async () => {
    const controller = new AbortController()
    const { signal } = controller
    const call = guard.provide(Layer.effectDiscard(Effect.never).pipe(Layer.provideMerge(layer)))(fails)
    const ending = settled(call.withSignal(signal)())
    controller.abort("no longer wanted")
    assert.deepStrictEqual(await ending, ["rejected", "no longer wanted"])
    assert.deepStrictEqual(await settled(call.withSignal(signal)()), ["rejected", "no longer wanted"])
    assert.lengthOf(getEventListeners(signal, "abort"), 0)
  })

  it("are no longer there when their runtime has been disposed of", async () => {
    const runtime = ManagedRuntime.make(layer)
    const call = guard.provide(runtime)(() => 1)
    assert.strictEqual(await call(), 1)
    await runtime.dispose()
    assert.deepStrictEqual(await settled(call()), ["rejected", "ManagedRuntime disposed"])
  })

  it("are not built by a call when their runtime has been disposed of", async () => {
    let built = 0
    const counted = Layer.effectDiscard(Effect.sync(() => built++))
    const runtime = ManagedRuntime.make(Layer.merge(layer, counted))
    const call = guard.provide(runtime)(fails)
    await runtime.dispose()
    assert.deepStrictEqual(await settled(call()), ["rejected", "ManagedRuntime disposed"])
    assert.strictEqual(built, 0)
  })

  it("are seen by what runs in a fiber, with the references of the runtime", async () => {
    class Language extends Context.Tag("Language")<Language, string>() {}
    const ref = FiberRef.unsafeMake("none")
    const seen: Array<string> = []
    const see = Effect.map(Effect.zip(Language, FiberRef.get(ref)), ([language, value]) =>
      seen.push(`${language} ${value}`)
    )
    const runtime = await Effect.runPromise(
      Effect.runtime<Language>().pipe(Effect.locally(ref, "given"), Effect.provideService(Language, "la"))
    )
    const retry = Retry.retry({ times: 1, schedule: Backoff.constant({ delay: 0 }), onRetry: () => see })
    await settled(Policy.promise(retry).provide(runtime)(fails)())
    assert.deepStrictEqual(seen, ["la given"])
  })

  it("may be a clock that a test moves", async () => {
    const runtime = ManagedRuntime.make(TestContext.TestContext)
    const call = Policy.promise(Timeout.timeout("1 hour")).provide(runtime)(
      () => new Promise<never>(() => {})
    )
    const ending = settled(call())
    await runtime.runPromise(Effect.zipRight(Effect.yieldNow(), TestClock.adjust("1 hour")))
    assert.instanceOf((await ending)[1], Timeout.TimeoutExceeded)
    await runtime.dispose()
  })

  it("keep the asynchronous context of the call, in every attempt", async () => {
    const storage = new AsyncLocalStorage<number>()
    const bulkhead = Effect.runSync(Bulkhead.make({ permits: 1, maxQueued: 10 }))
    const seen: Array<unknown> = []
    const call = Policy.promise(
      Timeout.timeout("1 hour"),
      bulkhead.protect,
      Retry.retry({ times: 1, schedule: Backoff.constant({ delay: 1 }) })
    )(async (_, index: number) => {
      seen.push([index, storage.getStore()])
      await new Promise((resolve) => setImmediate(resolve))
      seen.push([index, storage.getStore()])
      throw down
    })
    const all = [1, 2, 3].map((index) => storage.run(index, () => settled(call(index))))
    await Promise.all(all)
    assert.strictEqual(seen.length, 12)
    for (const one of seen) {
      const [index, store] = one as [number, unknown]
      assert.strictEqual(store, index)
    }
  })
})

// ------------------------------------------------------------------------------------------------------------- fibers

describe("a call that has to wait for nothing", () => {
  const steps = (policies: ReadonlyArray<Apply>, run: () => unknown) => async (): Promise<number> => {
    let operations = 0
    const tracer = Tracer.make({
      span: () => assert.fail("no spans"),
      context: (self) => {
        operations++
        return self()
      }
    })
    const runtime = await Effect.runPromise(Effect.withTracer(Effect.runtime(), tracer))
    operations = 0
    const guard = (Policy.promise as unknown as (...policies: ReadonlyArray<Apply>) => Policy.Guard)(
      ...policies
    )
    await settled(guard.provide(runtime)(run)())
    return operations
  }
  const open = breakerOf()
  Effect.runSync(open.open)
  const limiterOf = RateLimiter.make({ rate: RateLimiter.bursty({ limit: 1, per: "1 hour" }) })
  const limiter = Effect.runSync(limiterOf)
  const spent = Effect.runSync(Effect.tap(limiterOf, ({ acquire }) => acquire()))
  const full = Effect.runSync(Bulkhead.make({ permits: 1, retryAfterJitter: 0 }))
  void Effect.runPromise(full.protect(Effect.never))
  const four = [
    Timeout.timeout("1 second"),
    breakerOf().protect,
    Retry.retry({ times: 2 }),
    Fallback.succeed("cold")
  ]
  const free = Effect.runSync(Bulkhead.make({ permits: 1 })).protect
  it.each<[string, ReadonlyArray<Apply>, () => unknown]>([
    ["that succeeds", four, () => 1],
    [
      "in a pipeline",
      [Policy.pipeline(four[0], four[1], four[2]) as unknown as Apply],
      () => Promise.resolve(1)
    ],
    ["that fails", [four[0], four[1]], () => Promise.reject(down)],
    ["that falls back", [four[0], four[3]], () => Promise.reject(down)],
    ["with a permit", [free], () => 1],
    ["that a breaker rejects", [open.protect], () => 1],
    ["that a limiter lets in", [limiter.protect], () => 1],
    ["that a limiter rejects", [spent.protect], () => 1],
    ["that a bulkhead rejects", [full.protect], () => 1]
  ])("%s starts no fiber", async (_, policies, run) => {
    assert.strictEqual(await steps(policies, run)(), 0)
  })

  it("but another attempt does", async () => {
    const again = Retry.retry({ times: 1, schedule: Backoff.constant({ delay: 0 }) })
    assert.isAbove(await steps([again], () => Promise.reject(down))(), 0)
  })
})

describe("what is no guard", () => {
  it("is refused at construction", () => {
    const promise = Policy.promise as unknown as (...policies: ReadonlyArray<unknown>) => Policy.Guard
    assert.throws(() => promise(), 'Policy.promise: option "policies" must be at least one policy')
    assert.throws(() => promise("retry"), 'option "policies[0]"')
    assert.throws(() => promise(Timeout.timeout(1))("run" as never), 'option "run"')
    assert.throws(() => promise(Timeout.timeout(1)).provide({} as never), "a runtime or a layer")
    const guarded = promise(Timeout.timeout(1))(() => "done")
    for (const signal of [null, {}, "stop", new AbortController()]) {
      assert.throws(() => guarded.withSignal(signal as never), 'option "signal" must be an AbortSignal')
    }
  })
})
