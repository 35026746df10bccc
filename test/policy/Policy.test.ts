import { assert, describe, it } from "@effect/vitest"
import { Array as Arr, Data, Duration, Effect, Exit, Schedule } from "effect"
import { CircuitBreaker, Fallback, Policy, Retry, Timeout, Trip } from "effect-resilience"

describe("Policy.make", () => {
  const settings = { limit: 3 }
  const doubled = Policy.make(
    { kind: "doubled", name: "twice", settings },
    <E, R>(self: Effect.Effect<number, E, R>) => Effect.map(self, (n) => n * 2)
  )

  it.effect("keeps the function and adds its description", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Effect.succeed(2).pipe(doubled), 4)
      assert.strictEqual(yield* Effect.succeed(2).pipe(doubled, doubled), 8)
      assert.strictEqual(doubled.kind, "doubled")
      assert.strictEqual(doubled.name, "twice")
      assert.strictEqual(doubled.settings, settings)
      assert.deepStrictEqual({ ...doubled }, { kind: "doubled", name: "twice", settings })
    })
  )

  it("does not change the function that it is given", () => {
    const apply = <A, E, R>(self: Effect.Effect<A, E, R>) => self
    const policies = ["one", "two"].map((name) => Policy.make({ kind: "noop", name, settings: {} }, apply))
    assert.deepStrictEqual(
      [...policies, apply].map(({ name }) => name),
      ["one", "two", "apply"]
    )
    assert.notProperty(apply, "kind")
  })

  it("makes a policy that cannot be renamed", () => {
    assert.throws(() => Object.assign(doubled, { name: "thrice" }), TypeError)
  })

  it.effect("makes policies that can be mapped over effects", () =>
    Effect.gen(function* () {
      const effects = [Effect.succeed(1), Effect.succeed(2)]
      assert.deepStrictEqual(yield* Effect.all(effects.map(Timeout.timeout("1 second"))), [1, 2])
      assert.deepStrictEqual(yield* Effect.all(effects.map(Fallback.succeed(0))), [1, 2])
      assert.deepStrictEqual(yield* Effect.all(Arr.map(effects, Retry.retry({}))), [1, 2])
    })
  )
})

describe("Policy.describe", () => {
  it.each<readonly [Policy.Described, string]>([
    [Timeout.timeout("2 seconds"), "timeout(limit: 2s)"],
    [
      Timeout.timeout({ limit: 90_000, disconnect: true, name: "partner" }),
      `timeout "partner"(limit: 1m 30s, disconnect: true)`
    ],
    [Timeout.timeout({ limit: Effect.succeed(1) }), "timeout(limit: computed)"],
    [Timeout.timeout(Infinity), "timeout(limit: Infinity)"],
    [
      Retry.retry({}),
      "retry(times: 2, schedule: exponential(base: 100ms, factor: 2, max: 10s, jitter: full), maxHint: 10s)"
    ],
    [
      Retry.retry({ times: 5, delayFrom: Retry.noHint }),
      "retry(times: 5, schedule: exponential(base: 100ms, factor: 2, max: 10s, jitter: full))"
    ],
    [
      Retry.retry({
        name: "offers",
        schedule: Schedule.forever,
        maxDuration: "1 minute",
        maxHint: 500,
        exceeded: "wrap"
      }),
      `retry "offers"(schedule: custom, maxDuration: 1m, maxHint: 500ms, exceeded: wrap)`
    ],
    [Fallback.succeed(1), "fallback(with: succeed)"],
    [
      Fallback.chain([() => Effect.void], { name: "cold", condition: { defect: true } }),
      `fallback "cold"(with: chain, condition: { defect: true })`
    ],
    [
      {
        kind: "nested",
        name: "nested",
        settings: {
          list: [1, Duration.seconds(1), "x"],
          inner: { a: 1, b: undefined },
          f: () => 1,
          n: null,
          no: undefined
        }
      },
      "nested(list: [1, 1s, x], inner: { a: 1 }, f: computed, n: null)"
    ],
    [{ kind: "plain", name: "plain", settings: {} }, "plain()"]
  ])("says %s", (policy, expected) => {
    assert.strictEqual(Policy.describe(policy), expected)
  })

  it.effect("gives each policy a line, in pipe order", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({
        name: "partner",
        trip: Trip.consecutive(3),
        openFor: "15 seconds"
      })
      const described = Policy.describe(
        Timeout.timeout("2 seconds"),
        breaker,
        breaker.protect,
        Fallback.succeed("cold")
      )
      const lines = described.split("\n")
      assert.strictEqual(lines.length, 4)
      assert.strictEqual(lines[0], "timeout(limit: 2s)")
      assert.match(
        lines[1],
        /^circuit-breaker "partner"\(trip: .*, openFor: 15s, halfOpen: \{ permits: 1, .* \}\)$/
      )
      assert.strictEqual(lines[2], lines[1])
      assert.strictEqual(lines[3], "fallback(with: succeed)")
      assert.strictEqual(Policy.describe(), "")
    })
  )
})

describe("Policy.InvalidOption", () => {
  const zeroOrMore = "a duration of zero or more"
  const nonsense: ReadonlyArray<readonly [unknown, string]> = [
    [-1, "-1"],
    [NaN, "NaN"],
    [-1n, "-1n"],
    ["-1 seconds", `"-1 seconds"`],
    [[-1, 0], "[-1,0]"],
    ["soon", `"soon"`],
    [{}, "{}"]
  ]
  const durations = (policy: string, option: string, make: (value: never) => unknown) =>
    nonsense.map(([value, shown]) => [policy, option, zeroOrMore, shown, () => make(value as never)] as const)
  const times = [-1, 1.5, NaN, -Infinity, "2", 2 ** 53] as ReadonlyArray<unknown> as ReadonlyArray<never>
  const emptyName = "a string that is not empty"

  it.each<readonly [policy: string, option: string, expected: string, shown: string, make: () => unknown]>([
    ...durations("Timeout.timeout", "limit", (limit) => Timeout.timeout({ limit })),
    ...durations("Timeout.timeout", "limit", (limit) => Timeout.timeout(limit)),
    ...durations("Timeout.timeout", "limit", (limit) => Timeout.timeout(Effect.void, limit)),
    ...durations("Retry.retry", "maxDuration", (maxDuration) => Retry.retry({ maxDuration })),
    ...durations("Retry.retry", "maxHint", (maxHint) => Retry.retry(Effect.void, { maxHint })),
    ...times.map(
      (times) =>
        [
          "Retry.retry",
          "times",
          "a whole number of at least 0",
          times === "2" ? `"2"` : String(times),
          () => Retry.retry({ times })
        ] as const
    ),
    ["Timeout.timeout", "name", emptyName, `""`, () => Timeout.timeout({ limit: 1, name: "" })],
    ["Retry.retry", "name", emptyName, `""`, () => Retry.retry({ name: "" })],
    ["Fallback.succeed", "name", emptyName, `""`, () => Fallback.succeed(1, { name: "" })],
    ["Fallback.sync", "name", emptyName, `""`, () => Fallback.sync(() => 1, { name: "" })],
    ["Fallback.orElse", "name", emptyName, `""`, () => Fallback.orElse(() => Effect.void, { name: "" })],
    ["Fallback.fail", "name", emptyName, `""`, () => Fallback.fail(() => 1, { name: "" })],
    ["Fallback.chain", "name", emptyName, `""`, () => Fallback.chain([() => Effect.void], { name: "" })],
    ["Fallback.chain", "steps", "at least one effect", "[]", () => Fallback.chain([] as never)]
  ])('%s: option "%s" must be %s, got %s', (policy, option, expected, shown, make) => {
    const exit = Effect.runSyncExit(Effect.sync(make))
    const thrown = Exit.isFailure(exit) && exit.cause._tag === "Die" ? exit.cause.defect : exit
    assert.instanceOf(thrown, Policy.InvalidOption)
    assert.strictEqual(thrown.message, `${policy}: option "${option}" must be ${expected}, got ${shown}`)
  })

  it("accepts the ends of every range", () => {
    for (const duration of [0, Infinity, 0n, "0 millis", Duration.infinity, 2 ** 40] as const) {
      Timeout.timeout(duration)
      Retry.retry({ maxDuration: duration, maxHint: duration })
    }
    for (const times of [0, Infinity, Number.MAX_SAFE_INTEGER, undefined]) Retry.retry({ times })
  })
})

describe("Policy.isRejection", () => {
  class Lookalike extends Data.TaggedError("CircuitOpen")<{ name: string; retryAfter: undefined }> {}

  it.effect("tells a rejection from everything else", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({ name: "partner" })
      yield* breaker.isolate
      const rejection = yield* Effect.flip(breaker.protect(Effect.void))
      assert.isTrue(Policy.isRejection(rejection))
      const timeout = yield* Effect.flip(Timeout.timeout(Effect.void, 0))
      const others = [timeout, new Lookalike({ name: "x", retryAfter: undefined }), { _tag: "CircuitOpen" }]
      for (const other of [...others, null, undefined, "CircuitOpen", 0, () => 1]) {
        assert.isFalse(Policy.isRejection(other))
      }
    })
  )
})
