import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Duration, Effect, Exit, Fiber, Logger, TestClock } from "effect"
import { Cache } from "effect-resilience"
import { down } from "../support/calls.js"
import { scripted } from "../support/virtual.js"

const listenerNames = ["onHit", "onMiss", "onStale", "onRefresh", "onEvict"] as const

/** All listeners at once, each of which does the same. */
const listeners = (listener: (name: string, event: unknown) => Effect.Effect<unknown, unknown>) =>
  Object.fromEntries(listenerNames.map((name) => [name, (event: unknown) => listener(name, event)]))

const up = (value: string) => Effect.succeed(value)

const options = {
  name: "offers",
  timeToLive: "10 seconds",
  staleWhileRevalidate: "10 seconds",
  staleIfError: "1 minute",
  negativeTimeToLive: "1 second",
  capacity: 2
} as const

const make = (
  heard: Cache.Listeners<string, string, "down">,
  ...steps: readonly [Effect.Effect<string, "down">, ...Array<Effect.Effect<string, "down">>]
) => {
  const { call } = scripted(...steps)
  return Cache.make({ ...options, ...heard, lookup: (_: string) => call }) as Effect.Effect<
    Cache.Cache<string, string, "down">
  >
}

/** The warnings that are logged while an effect runs. */
const warnings = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    const logger = Logger.make<unknown, void>(({ cause, message }) => {
      const first = Array.isArray(message) ? message[0] : message
      lines.push(`${String(first)}${Cause.isEmpty(cause) ? "" : ` ${Cause.pretty(cause).split("\n")[0]}`}`)
    })
    return Effect.map(
      Effect.provide(self, Logger.replace(Logger.defaultLogger, logger)),
      (value) => [value, lines] as const
    )
  })

describe("the listeners of a cache", () => {
  it.scoped("hear each event once, and in order", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const note = (line: string) => Effect.sync(() => log.push(line))
      const cache = yield* make(listeners(note), up("1"), up("2"), down, up("4"))
      const heard = (effect: Effect.Effect<unknown, "down">) =>
        Effect.zipRight(Effect.exit(effect), TestClock.adjust(0)).pipe(
          Effect.map(() => log.splice(0).join(" "))
        )
      const get = cache.get("a")
      assert.strictEqual(yield* heard(get), "onMiss")
      assert.strictEqual(yield* heard(get), "onHit")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* heard(get), "onStale onRefresh")
      assert.strictEqual(yield* heard(get), "onHit")
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual(yield* heard(get), "onMiss onStale")
      assert.strictEqual(yield* heard(get), "onStale")
      assert.strictEqual(yield* heard(cache.refresh("a")), "onRefresh")
      assert.strictEqual(yield* heard(cache.set("b", "set")), "")
      assert.strictEqual(yield* heard(cache.set("c", "set")), "onEvict")
      assert.strictEqual(yield* heard(get), "onMiss onEvict")
      assert.strictEqual(yield* heard(cache.invalidate("a")), "")
    })
  )

  it.scoped("get the fields of each event", () =>
    Effect.gen(function* () {
      const log: Array<readonly [string, unknown]> = []
      const cache = yield* make(
        listeners((name, event) => Effect.sync(() => log.push([name, event]))),
        up("1"),
        Effect.delay(down, "500 millis"),
        down
      )
      const age = Duration.seconds(10)
      const event = { kind: "cache", name: "offers", key: "a" }
      yield* cache.get("a")
      yield* TestClock.adjust("5 seconds")
      yield* cache.get("a")
      yield* TestClock.adjust("5 seconds")
      yield* cache.get("a")
      yield* TestClock.adjust("500 millis")
      yield* cache.get("a")
      yield* TestClock.adjust("9500 millis")
      yield* cache.get("a")
      yield* cache.set("b", "set")
      yield* cache.set("c", "set")
      assert.deepStrictEqual(log, [
        ["onMiss", { _tag: "Miss", ...event }],
        ["onHit", { _tag: "Hit", ...event, age: Duration.seconds(5) }],
        ["onStale", { _tag: "Stale", ...event, state: "revalidating", age }],
        ["onRefresh", { _tag: "Refresh", ...event, exit: Exit.fail("down"), duration: Duration.millis(500) }],
        ["onStale", { _tag: "Stale", ...event, state: "stale", age: Duration.millis(10_500) }],
        ["onMiss", { _tag: "Miss", ...event }],
        ["onStale", { _tag: "Stale", ...event, state: "error-stale", age: Duration.seconds(20) }],
        ["onEvict", { _tag: "Evict", ...event }]
      ])
    })
  )

  it.scoped("hear of a hit on a remembered failure, and how old that is", () =>
    Effect.gen(function* () {
      const ages: Array<number> = []
      const onHit = ({ age }: Cache.Hit<string>) => Effect.sync(() => ages.push(Duration.toMillis(age)))
      const cache = yield* make({ onHit }, down)
      yield* Effect.exit(cache.get("a"))
      yield* TestClock.adjust("300 millis")
      yield* Effect.exit(cache.get("a"))
      assert.deepStrictEqual(ages, [300])
    })
  )

  it.scoped("hear of no refresh that was interrupted or nobody wanted any more", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const cache = yield* make(
        listeners((name) => Effect.sync(() => log.push(name))),
        up("1"),
        Effect.interrupt,
        Effect.never
      )
      yield* cache.get("a")
      yield* Effect.exit(cache.refresh("a"))
      const asked = yield* Effect.fork(cache.refresh("a"))
      yield* TestClock.adjust(0)
      yield* Fiber.interrupt(asked)
      assert.deepStrictEqual(log, ["onMiss"])
    })
  )

  it.scoped("that fail or die are reported in the log and change nothing", () =>
    Effect.gen(function* () {
      for (const broken of [Effect.fail("broken"), Effect.die("broken"), Effect.interrupt]) {
        const story = Effect.gen(function* () {
          const cache = yield* make(
            listeners(() => broken),
            up("1"),
            up("2"),
            down
          )
          const values = [yield* cache.get("a"), yield* cache.get("a")]
          yield* TestClock.adjust("10 seconds")
          values.push(yield* cache.get("a"))
          yield* TestClock.adjust("20 seconds")
          values.push(yield* cache.get("a"))
          yield* cache.set("b", "b")
          yield* cache.set("c", "c")
          return values
        })
        const [values, lines] = yield* warnings(story)
        assert.deepStrictEqual(values, ["1", "1", "1", "2"])
        assert.deepStrictEqual(
          lines.map((line) => line.includes('a listener of "offers" failed')),
          Effect.isEffect(broken) && broken === Effect.interrupt ? [] : lines.map(() => true)
        )
        assert.strictEqual(lines.length, broken === Effect.interrupt ? 0 : 7)
      }
    })
  )

  it.scoped("that throw are reported too", () =>
    Effect.gen(function* () {
      const cache = yield* make(
        {
          onMiss: () => {
            throw "thrown"
          }
        },
        up("1")
      )
      const [value, lines] = yield* warnings(cache.get("a"))
      assert.strictEqual(value, "1")
      assert.strictEqual(lines.length, 1)
    })
  )

  it.scoped("get the services of the cache's maker, and the span of the call", () =>
    Effect.gen(function* () {
      class Journal extends Context.Tag("Journal")<Journal, string>() {}
      const heard: Array<string> = []
      const cache = yield* Cache.make({
        ...options,
        lookup: up,
        onMiss: ({ key }) =>
          Effect.gen(function* () {
            const span = yield* Effect.currentSpan
            heard.push(`${key} ${yield* Journal} ${span.name}`)
          })
      }).pipe(Effect.provideService(Journal, "maker's"), Effect.withSpan("making"))
      yield* cache.get("a").pipe(Effect.provideService(Journal, "caller's"), Effect.withSpan("calling"))
      assert.deepStrictEqual(heard, ["a maker's calling"])
    })
  )

  it.scoped("can be interrupted with the call that waits for them, which then waits no more", () =>
    Effect.gen(function* () {
      const cache = yield* make({ onMiss: () => Effect.never }, Effect.never)
      const caller = yield* Effect.fork(cache.get("a"))
      yield* TestClock.adjust(0)
      assert.deepInclude(yield* cache.snapshot, { waiting: 1, inFlight: 1 })
      yield* Fiber.interrupt(caller)
      assert.deepInclude(yield* cache.snapshot, { waiting: 0, inFlight: 0 })
    })
  )

  it.scoped("of a refresh do not delay its value", () =>
    Effect.gen(function* () {
      const cache = yield* make({ onRefresh: () => Effect.never, onEvict: () => Effect.never }, up("1"))
      assert.strictEqual(yield* cache.refresh("a"), "1")
      assert.strictEqual(yield* cache.get("b"), "1")
      assert.strictEqual(yield* cache.get("c"), "1")
      assert.deepInclude(yield* cache.snapshot, { inFlight: 0, waiting: 0 })
    })
  )
})

describe("the log of a cache", () => {
  it.scoped("has the defect of a refresh in the background", () =>
    Effect.gen(function* () {
      const story = Effect.gen(function* () {
        const cache = yield* make({}, up("1"), Effect.die("bug"), down)
        yield* cache.get("a")
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual((yield* cache.serve("a")).state, "revalidating")
        yield* TestClock.adjust(0)
        assert.strictEqual((yield* cache.serve("a")).state, "revalidating")
        yield* TestClock.adjust(0)
      })
      const [, lines] = yield* warnings(story)
      assert.deepStrictEqual(lines, ['a refresh of "offers" died Error: bug'])
    })
  )

  it.scoped("has the error of a function in the options, which then counts as zero", () =>
    Effect.gen(function* () {
      const lookups = (
        functions: Partial<Cache.StoreOptions<string, string, "down">>,
        step: Effect.Effect<string, "down">
      ) =>
        warnings(
          Effect.gen(function* () {
            const cache = yield* Cache.make({
              name: "offers",
              timeToLive: 0,
              ...functions,
              lookup: (_: string) => step
            }) as Effect.Effect<Cache.Cache<string, string, "down">>
            yield* Effect.exit(cache.get("a"))
            yield* Effect.exit(cache.get("a"))
            return (yield* cache.snapshot).lookups
          })
        )
      const throws = () => {
        throw "thrown"
      }
      const warning = (option: string, problem: string) =>
        `"${option}" of "offers" gave no duration, so it counts as zero${problem}`
      for (const wrong of [throws, () => NaN, () => "soon" as never]) {
        const [values, ofValues] = yield* lookups({ timeToLive: wrong }, up("1"))
        assert.strictEqual(values, 2)
        assert.lengthOf(ofValues, 2)
        for (const line of ofValues) assert.include(line, warning("timeToLive", ""))
        const [failures, ofFailures] = yield* lookups(
          { negativeTimeToLive: wrong, staleIfError: wrong },
          down
        )
        assert.strictEqual(failures, 2)
        assert.lengthOf(ofFailures, 4)
        assert.include(ofFailures[0], warning("negativeTimeToLive", ""))
        assert.include(ofFailures[1], warning("staleIfError", ""))
      }
    })
  )
})
