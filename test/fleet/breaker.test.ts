import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Schedule, Scope, Stream, TestClock } from "effect"
import { CircuitBreaker, Policy, Trip } from "effect-resilience"
import { Share, SharedStore } from "effect-resilience/fleet"
import { down, forked, refusalOf, up } from "../support/calls.js"
import { type Breaker, breakerIn, breakersIn, Fleet, type Process } from "../support/fleet.js"

type Fleetful = ReadonlyArray<readonly [Breaker, Process]>

const failing = (breaker: Breaker) => Effect.exit(breaker.protect(down))
const states = (breakers: Fleetful) => Effect.forEach(breakers, ([breaker]) => breaker.state)
const all = (count: number, state: CircuitBreaker.State) => Array<CircuitBreaker.State>(count).fill(state)

const options = {
  trip: Trip.failures({ count: 4, within: "10 seconds" }),
  openFor: "5 seconds"
} as const

/** Processes that know one another, in which nothing has happened yet. */
const started = (count: number, more: CircuitBreaker.Options = {}) =>
  Effect.gen(function* () {
    const fleet = new Fleet()
    const breakers = yield* breakersIn(fleet, count, { ...options, ...more })
    yield* TestClock.adjust("2 seconds")
    return { fleet, breakers }
  })

/** The calls that fail together as often as the rule says. */
const outage = (breakers: Fleetful) =>
  Effect.forEach(Array.from({ length: 4 }), (_, call) => failing(breakers[call % breakers.length][0]))

const opened = (count: number, more: CircuitBreaker.Options = {}) =>
  Effect.gen(function* () {
    const made = yield* started(count, more)
    yield* outage(made.breakers)
    yield* TestClock.adjust("10 millis")
    assert.deepStrictEqual(yield* states(made.breakers), all(count, "open"))
    return made
  })

/** Calls that say when they run, one in each process. */
const probing = (breakers: Fleetful, body: Effect.Effect<unknown, string> = Effect.never) => {
  const begun: Array<number> = []
  const calls = Effect.forEach(breakers, ([breaker], at) =>
    forked(
      Effect.exit(
        breaker.protect(
          Effect.zipRight(
            Effect.sync(() => begun.push(at)),
            body
          )
        )
      )
    )
  )
  return { begun, calls }
}

describe("a shared breaker", () => {
  it.scoped("opens for all at once when the calls of all meet the rule", () =>
    Effect.gen(function* () {
      const { breakers } = yield* started(4)
      for (const [breaker] of breakers) yield* failing(breaker)
      assert.deepStrictEqual(yield* states(breakers), all(4, "closed"))
      yield* TestClock.adjust("0 millis")
      assert.deepStrictEqual(yield* states(breakers), all(4, "open"))
      const error = yield* Effect.flip(breakers[0][0].protect(up))
      assert.deepInclude(error, { _tag: "CircuitOpen", name: "partner", state: "open" })
    })
  )

  it.scoped("opens for all within an interval when announcements are lost", () =>
    Effect.gen(function* () {
      const { breakers } = yield* started(6)
      for (const [, { wire }] of breakers) wire.announces = false
      yield* outage(breakers)
      yield* TestClock.adjust("1200 millis")
      assert.deepStrictEqual(yield* states(breakers), all(6, "open"))
    })
  )

  it.scoped("opens in a hundred processes that make a call in two seconds each", () =>
    Effect.gen(function* () {
      const trip = Trip.failureRate({ threshold: 0.5, within: "10 seconds", minimumCalls: 20 })
      const { breakers } = yield* started(100, { trip })
      // Fifty calls a second.
      for (let tenth = 0; tenth < 20; tenth++) {
        for (let call = 0; call < 5; call++) yield* failing(breakers[(tenth * 5 + call) % 100][0])
        yield* TestClock.adjust("100 millis")
      }
      assert.deepStrictEqual(yield* states(breakers), all(100, "open"))
    })
  )

  it.scoped("opens its own circuit alone when no other process fails", () =>
    Effect.gen(function* () {
      const { breakers } = yield* started(3)
      for (let call = 0; call < 4; call++) yield* failing(breakers[0][0])
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* states(breakers), ["open", "closed", "closed"])
      // And it recovers by itself.
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* breakers[0][0].protect(up), "up")
      assert.deepStrictEqual(yield* states(breakers), all(3, "closed"))
    })
  )

  it.scoped("opens for all only when a quorum of processes has seen failures", () =>
    Effect.gen(function* () {
      const { breakers } = yield* started(4, { share: Share.local({ quorum: 3 }) })
      for (let call = 0; call < 3; call++) {
        yield* failing(breakers[0][0])
        yield* failing(breakers[1][0])
      }
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* states(breakers), all(4, "closed"))
      yield* failing(breakers[2][0])
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* states(breakers), all(4, "open"))
    })
  )

  it.scoped("needs no more processes for a quorum than there are", () =>
    Effect.gen(function* () {
      const { breakers, fleet } = yield* started(1)
      yield* outage(breakers)
      yield* TestClock.adjust("2 seconds")
      const [[late]] = yield* breakersIn(fleet, 2, options)
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(yield* late.state, "open")
    })
  )

  it.scoped("counts slow calls of all processes", () =>
    Effect.gen(function* () {
      const rule = {
        slowerThan: "100 millis",
        threshold: 0.5,
        within: "10 seconds",
        minimumCalls: 4
      } as const
      const { breakers } = yield* started(4, { trip: Trip.slowRate(rule) })
      const calls = yield* Effect.forEach(breakers, ([breaker]) =>
        Effect.fork(breaker.protect(Effect.delay(up, "200 millis")))
      )
      yield* TestClock.adjust("200 millis")
      yield* Effect.forEach(calls, Fiber.join)
      yield* TestClock.adjust("10 millis")
      assert.deepStrictEqual(yield* states(breakers), all(4, "open"))
    })
  )

  it.scoped(
    "notifies the listeners of every process, and none holds up another process or the exchange",
    () =>
      Effect.gen(function* () {
        const heard: Array<string> = []
        const onStateChange = ({ from, to }: CircuitBreaker.StateChange) =>
          Effect.zipRight(
            Effect.sync(() => heard.push(`${from} ${to}`)),
            Effect.never
          )
        const { breakers } = yield* started(3, { onStateChange })
        yield* breakers[0][0].open.pipe(Effect.fork)
        yield* TestClock.adjust("10 millis")
        assert.deepStrictEqual(heard, Array(3).fill("closed open"))
        yield* breakers[1][0].isolate.pipe(Effect.fork)
        yield* TestClock.adjust("10 millis")
        assert.deepStrictEqual(yield* states(breakers), all(3, "isolated"))
      })
  )
})

describe("the reason of a change in a fleet", () => {
  it.scoped("is the fleet, with the rule that the calls of all have met where these are known", () =>
    Effect.gen(function* () {
      const heard: Array<unknown> = []
      const onStateChange = ({ operation, reason, rule, to }: CircuitBreaker.StateChange) =>
        Effect.sync(() => heard.push([to, reason, operation ?? rule?.hits]))
      const { breakers } = yield* opened(2, { onStateChange })
      assert.deepStrictEqual(heard, [
        ["open", "fleet", 4],
        ["open", "fleet", undefined]
      ])
      heard.length = 0
      yield* breakers[0][0].isolate
      yield* TestClock.adjust("10 millis")
      assert.deepStrictEqual(heard, [
        ["isolated", "steered", "isolate"],
        ["isolated", "fleet", undefined]
      ])
    })
  )
})

describe("a half-open breaker of a fleet", () => {
  it.scoped("admits one probe in all processes, and closes for all with its success", () =>
    Effect.gen(function* () {
      const { breakers } = yield* opened(5)
      yield* TestClock.adjust("6 seconds")
      assert.deepStrictEqual(yield* states(breakers), all(5, "half-open"))
      const gate = yield* Deferred.make<string, string>()
      const { begun, calls } = probing(breakers, Deferred.await(gate))
      for (let round = 0; round < 4; round++) {
        yield* calls
        yield* TestClock.adjust("400 millis")
      }
      assert.lengthOf(begun, 1)
      yield* Deferred.succeed(gate, "up")
      yield* TestClock.adjust("10 millis")
      assert.deepStrictEqual(yield* states(breakers), all(5, "closed"))
      assert.strictEqual(yield* breakers[0][0].protect(up), "up")
    })
  )

  it.scoped("opens again for all with a probe that fails", () =>
    Effect.gen(function* () {
      const { breakers } = yield* opened(3)
      yield* TestClock.adjust("6 seconds")
      const { begun, calls } = probing(breakers, down)
      for (let round = 0; round < 2; round++) {
        yield* calls
        yield* TestClock.adjust("10 millis")
      }
      assert.lengthOf(begun, 1)
      assert.deepStrictEqual(yield* states(breakers), all(3, "open"))
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(yield* states(breakers), all(3, "open"))
    })
  )

  it.scoped("stays open for longer each time in every process, by a schedule that each has for itself", () =>
    Effect.gen(function* () {
      const openFor = Schedule.fromDelays("5 seconds", "20 seconds", "60 seconds")
      const { breakers } = yield* opened(3, { openFor })
      for (const [at, seconds] of [6, 21].entries()) {
        yield* TestClock.adjust(`${seconds} seconds`)
        const [breaker] = breakers[at]
        yield* Effect.exit(breaker.protect(down))
        yield* TestClock.adjust("10 millis")
        yield* failing(breaker)
        yield* TestClock.adjust("10 millis")
        assert.deepStrictEqual(yield* states(breakers), all(3, "open"))
      }
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(yield* states(breakers), all(3, "open"))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* states(breakers), all(3, "half-open"))
    })
  )

  it.scoped("adds up the successes that processes have had", () =>
    Effect.gen(function* () {
      const { breakers } = yield* opened(3, { halfOpen: { permits: 2, successes: 2 } })
      yield* TestClock.adjust("6 seconds")
      yield* probing(breakers, up).calls
      yield* TestClock.adjust("10 millis")
      assert.strictEqual(yield* breakers[0][0].protect(up), "up")
      yield* TestClock.adjust("10 millis")
      assert.strictEqual(yield* breakers[0][0].state, "half-open")
      assert.strictEqual(yield* breakers[1][0].protect(up), "up")
      yield* TestClock.adjust("10 millis")
      assert.deepStrictEqual(yield* states(breakers), all(3, "closed"))
    })
  )

  it.scoped("lends the next permit at once when a probe has ended", () =>
    Effect.gen(function* () {
      const { breakers } = yield* opened(2, { halfOpen: { successes: 3 } })
      yield* TestClock.adjust("6 seconds")
      const [[breaker]] = breakers
      for (let probe = 0; probe < 3; probe++) {
        yield* Effect.exit(breaker.protect(up))
        yield* TestClock.adjust("10 millis")
        const running = yield* forked(breaker.protect(Effect.delay(up, "5 millis")))
        // Another call knocks meanwhile, in vain.
        yield* Effect.flip(breaker.protect(up))
        yield* TestClock.adjust("10 millis")
        assert.strictEqual(yield* Fiber.join(running), "up")
      }
      assert.deepStrictEqual(yield* states(breakers), all(2, "closed"))
    })
  )

  it.scoped("lends the permit of a process that dies to another", () =>
    Effect.gen(function* () {
      const { breakers, fleet } = yield* started(2, { halfOpen: { maxWait: "10 seconds" } })
      const scope = yield* Scope.make()
      const process = yield* Scope.extend(fleet.process({ instance: "mortal" }), scope)
      const mortal = yield* breakerIn(process, { ...options, halfOpen: { maxWait: "10 seconds" } })
      yield* breakers[0][0].open
      yield* TestClock.adjust("6 seconds")
      yield* probing([[mortal, process]]).calls
      yield* TestClock.adjust("10 millis")
      const dying = probing([[mortal, process]])
      yield* dying.calls
      assert.lengthOf(dying.begun, 1)
      yield* Scope.close(scope, Exit.void)
      const { begun, calls } = probing(breakers, up)
      yield* calls
      yield* TestClock.adjust("9 seconds")
      yield* calls
      assert.lengthOf(begun, 0)
      yield* TestClock.adjust("4 seconds")
      yield* calls
      yield* TestClock.adjust("1200 millis")
      yield* calls
      yield* TestClock.adjust("10 millis")
      // The first of them probes, and the circuit is closed for the other.
      assert.isNotEmpty(begun)
      assert.deepStrictEqual(yield* states(breakers), all(2, "closed"))
    })
  )

  it.scoped("lends a permit that no call used to another process", () =>
    Effect.gen(function* () {
      const { breakers } = yield* opened(2)
      yield* TestClock.adjust("6 seconds")
      // The first knocks, gets the permit and does not come again.
      yield* probing(breakers.slice(0, 1)).calls
      yield* TestClock.adjust("4 seconds")
      const { begun, calls } = probing(breakers.slice(1), up)
      yield* calls
      yield* TestClock.adjust("10 millis")
      yield* calls
      assert.lengthOf(begun, 1)
    })
  )

  it.scoped("takes the permit of an interrupted probe back", () =>
    Effect.gen(function* () {
      const { breakers } = yield* opened(2)
      yield* TestClock.adjust("6 seconds")
      yield* Effect.exit(breakers[0][0].protect(up))
      yield* TestClock.adjust("10 millis")
      const probe = yield* forked(breakers[0][0].protect(Effect.never))
      yield* Fiber.interrupt(probe)
      yield* TestClock.adjust("10 millis")
      yield* Effect.exit(breakers[1][0].protect(up))
      yield* TestClock.adjust("10 millis")
      assert.strictEqual(yield* breakers[1][0].protect(up), "up")
      yield* TestClock.adjust("10 millis")
      assert.deepStrictEqual(yield* states(breakers), all(2, "closed"))
    })
  )

  it.scoped("gives up on a probe that does not answer, for all", () =>
    Effect.gen(function* () {
      const { breakers } = yield* opened(2, { halfOpen: { maxWait: "3 seconds" } })
      yield* TestClock.adjust("6 seconds")
      for (let round = 0; round < 2; round++) {
        yield* probing(breakers).calls
        yield* TestClock.adjust("10 millis")
      }
      assert.deepStrictEqual(yield* states(breakers), all(2, "half-open"))
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* states(breakers), all(2, "open"))
    })
  )
})

describe("a breaker of a fleet that is steered", () => {
  it.scoped("takes every other with it", () =>
    Effect.gen(function* () {
      const { breakers } = yield* started(3)
      const [[first], [second]] = breakers
      const steps: ReadonlyArray<readonly [Effect.Effect<void>, CircuitBreaker.State]> = [
        [first.open, "open"],
        [second.close, "closed"],
        [second.halfOpen, "half-open"],
        [first.isolate, "isolated"],
        [second.release, "closed"],
        [first.disable, "disabled"],
        [second.enable, "closed"],
        [second.metricsOnly, "metrics-only"],
        [first.reset, "closed"]
      ]
      for (const [step, state] of steps) {
        yield* step
        yield* TestClock.adjust("10 millis")
        assert.deepStrictEqual(yield* states(breakers), all(3, state))
      }
    })
  )

  it.scoped("tells the others when the store is back", () =>
    Effect.gen(function* () {
      const { breakers } = yield* started(2)
      const [[first, { wire }]] = breakers
      wire.state = "dead"
      yield* first.isolate
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(yield* states(breakers), ["isolated", "closed"])
      wire.state = "up"
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* states(breakers), all(2, "isolated"))
    })
  )

  it.scoped("takes settings to every other, and to those that come later", () =>
    Effect.gen(function* () {
      const { breakers, fleet } = yield* started(2)
      yield* breakers[0][0].configure({
        trip: Trip.consecutive(2),
        openFor: "7 seconds",
        halfOpen: { maxWait: Infinity }
      })
      yield* breakers[0][0].configure({ halfOpen: { permits: 3 } })
      yield* TestClock.adjust("10 millis")
      const late = yield* breakerIn(yield* fleet.process(), options)
      yield* TestClock.adjust("10 millis")
      const shown =
        "trip: consecutive(2), openFor: 7s, halfOpen: { permits: 3, successes: 1, maxWait: Infinity }"
      for (const breaker of [breakers[0][0], breakers[1][0], late]) {
        assert.include(Policy.describe(breaker), shown)
      }
    })
  )

  it.scoped("takes settings to every other before a slow listener has heard of them", () =>
    Effect.gen(function* () {
      const { breakers, fleet } = yield* started(1)
      const slow = yield* breakerIn(yield* fleet.process(), { ...options, onConfigured: () => Effect.never })
      yield* Effect.fork(slow.configure({ openFor: "7 seconds" }))
      yield* TestClock.adjust("10 millis")
      assert.include(Policy.describe(slow), "openFor: 7s")
      assert.include(Policy.describe(breakers[0][0]), "openFor: 7s")
    })
  )

  it.scoped("loses no setting of several that processes change at the same time", () =>
    Effect.gen(function* () {
      const { breakers } = yield* started(4)
      const given: ReadonlyArray<CircuitBreaker.Reconfiguration> = [
        { openFor: "7 seconds" },
        { trip: Trip.consecutive(2) },
        { halfOpen: { permits: 3 } },
        { halfOpen: { successes: 2 } }
      ]
      yield* Effect.forEach(given, (settings, at) => breakers[at][0].configure(settings))
      yield* TestClock.adjust("3 seconds")
      const shown = "trip: consecutive(2), openFor: 7s, halfOpen: { permits: 3, successes: 2"
      for (const [breaker] of breakers) assert.include(Policy.describe(breaker), shown)
    })
  )

  it.scoped("agrees on one of several values that processes give a setting at the same time", () =>
    Effect.gen(function* () {
      const { breakers } = yield* started(3)
      for (const [at, openFor] of (["7 seconds", "8 seconds", "9 seconds"] as const).entries()) {
        yield* breakers[at][0].configure({ openFor })
      }
      yield* TestClock.adjust("3 seconds")
      for (const [breaker] of breakers) assert.include(Policy.describe(breaker), "openFor: 9s")
    })
  )

  it.scoped("leaves settings that do not fit another release, and says so", () =>
    Effect.gen(function* () {
      const { breakers, fleet } = yield* started(1)
      const other = yield* breakerIn(yield* fleet.process(), { ...options, maxOpenFor: "6 seconds" })
      yield* breakers[0][0].configure({ openFor: "20 seconds" })
      yield* TestClock.adjust("10 millis")
      assert.include(Policy.describe(breakers[0][0]), "openFor: 20s")
      assert.include(Policy.describe(other), "openFor: 5s")
    })
  )

  it.scoped("takes what it knows of the settings of a newer release", () =>
    Effect.gen(function* () {
      const { adapter } = new SharedStore.Memory()
      const store = yield* SharedStore.make(adapter)
      const breaker = yield* breakerIn({ store, wire: { state: "up", announces: true } }, options)
      const settings = JSON.stringify({ permits: 4, patience: 5 })
      const report = { id: "partner", window: 1, successes: 0, failures: 0, slow: 0, settings }
      const news = { instance: "newer", incarnation: "", sequence: 1, timeToLive: 1, reports: [report] }
      yield* adapter.exchange(news)
      yield* TestClock.adjust("2 seconds")
      assert.include(Policy.describe(breaker), "permits: 4")
    })
  )

  it.scoped("goes on with a release that has other settings", () =>
    Effect.gen(function* () {
      const { breakers, fleet } = yield* started(2)
      const old = yield* breakerIn(yield* fleet.process(), {
        trip: Trip.consecutive(50),
        openFor: "1 minute"
      })
      yield* TestClock.adjust("2 seconds")
      yield* outage(breakers)
      yield* TestClock.adjust("10 millis")
      assert.strictEqual(yield* old.state, "open")
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(yield* old.state, "half-open")
    })
  )
})

describe("a breaker of a fleet whose store is away", () => {
  const ways = ["dead", "silent", "lossy"] as const

  it.scoped.each(ways)("goes on by itself while it is closed: %s", (way) =>
    Effect.gen(function* () {
      const { breakers } = yield* started(2)
      for (const [, { wire }] of breakers) wire.state = way
      yield* TestClock.adjust("3 seconds")
      for (let call = 0; call < 4; call++) yield* failing(breakers[0][0])
      assert.deepStrictEqual(yield* states(breakers), ["open", "closed"])
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* breakers[0][0].protect(up), "up")
      assert.deepStrictEqual(yield* states(breakers), ["closed", "closed"])
    })
  )

  it.scoped.each(ways)("probes by itself when an open circuit runs out: %s", (way) =>
    Effect.gen(function* () {
      const { breakers } = yield* opened(2)
      for (const [, { wire }] of breakers) wire.state = way
      yield* TestClock.adjust("6 seconds")
      for (const [breaker] of breakers) assert.strictEqual(yield* breaker.protect(up), "up")
      assert.deepStrictEqual(yield* states(breakers), all(2, "closed"))
      for (const [, { wire }] of breakers) wire.state = "up"
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* states(breakers), all(2, "closed"))
      yield* outage(breakers)
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* states(breakers), all(2, "open"))
    })
  )

  it.scoped.each(ways)("decides by a probe that was out, for all when the store is back: %s", (way) =>
    Effect.gen(function* () {
      const { breakers } = yield* opened(3)
      yield* TestClock.adjust("6 seconds")
      const gate = yield* Deferred.make<string, string>()
      const { begun, calls } = probing(breakers, Deferred.await(gate))
      yield* calls
      yield* TestClock.adjust("10 millis")
      yield* calls
      assert.lengthOf(begun, 1)
      const [holder] = breakers[begun[0]]
      for (const [, { wire }] of breakers) wire.state = way
      yield* Deferred.succeed(gate, "up")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* holder.state, "closed")
      for (const [, { wire }] of breakers) wire.state = "up"
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(yield* states(breakers), all(3, "closed"))
    })
  )

  it.scoped("never makes a call wait", () =>
    Effect.gen(function* () {
      const { breakers } = yield* started(1)
      breakers[0][1].wire.state = "silent"
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* breakers[0][0].protect(up), "up")
      assert.isTrue(Exit.isFailure(yield* failing(breakers[0][0])))
    })
  )

  it.scoped("says Degraded once with the reason, and Recovered once", () =>
    Effect.gen(function* () {
      const { breakers } = yield* started(1)
      const [[, { store, wire }]] = breakers
      const events = yield* forked(Stream.runCollect(Stream.take(store.changes, 2)))
      wire.state = "dead"
      yield* TestClock.adjust("30 seconds")
      assert.deepInclude(yield* store.health, { _tag: "Degraded", reason: "connection refused" })
      wire.state = "up"
      yield* TestClock.adjust("30 seconds")
      const [degraded, recovered] = Array.from(yield* Fiber.join(events))
      assert.deepInclude(degraded, { _tag: "Degraded", reason: "connection refused" })
      assert.strictEqual(recovered._tag, "Recovered")
    })
  )

  it.scoped("tells a store that has forgotten how the fleet stands", () =>
    Effect.gen(function* () {
      const { breakers, fleet } = yield* started(2)
      yield* breakers[0][0].isolate
      yield* breakers[0][0].configure({ openFor: "7 seconds" })
      yield* TestClock.adjust("10 millis")
      fleet.restart()
      yield* TestClock.adjust("3 seconds")
      const late = yield* breakerIn(yield* fleet.process(), options)
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(yield* late.state, "isolated")
      assert.include(Policy.describe(late), "openFor: 7s")
      assert.deepStrictEqual(yield* states(breakers), all(2, "isolated"))
    })
  )
})

describe("a breaker that is idle", () => {
  it.scoped("counts nothing of what the others saw meanwhile", () =>
    Effect.gen(function* () {
      const { breakers } = yield* started(2, { share: Share.local({ quorum: 1 }) })
      const [[idle], [other]] = breakers
      yield* TestClock.adjust("20 seconds")
      for (let call = 0; call < 3; call++) yield* failing(other)
      yield* TestClock.adjust("30 seconds")
      yield* failing(idle)
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* states(breakers), all(2, "closed"))
    })
  )

  it.scoped("has nothing to say", () =>
    Effect.gen(function* () {
      let reports = 0
      const { adapter } = new SharedStore.Memory()
      const counting: SharedStore.Adapter = {
        ...adapter,
        exchange: (news) => Effect.suspend(() => ((reports += news.reports.length), adapter.exchange(news)))
      }
      const store = yield* SharedStore.make(counting)
      const breaker = yield* breakerIn({ store, wire: { state: "up", announces: true } }, options)
      yield* breaker.protect(up)
      yield* TestClock.adjust("30 seconds")
      reports = 0
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(reports, 0)
      yield* failing(breaker)
      yield* TestClock.adjust("10 millis")
      assert.isAbove(reports, 0)
    })
  )
})

describe("breakers by key that are shared", () => {
  it.scoped("are a breaker of the fleet for each key", () =>
    Effect.gen(function* () {
      const fleet = new Fleet()
      const make = Effect.gen(function* () {
        const { store } = yield* fleet.process()
        return yield* CircuitBreaker.keyed({
          options: { ...options, name: "hosts", share: Share.local() }
        }).pipe(Effect.provideService(SharedStore.SharedStore, store))
      })
      const processes = [yield* make, yield* make]
      for (const hosts of processes) for (const key of ["a", "b"]) yield* hosts.protect(key)(up)
      yield* TestClock.adjust("2 seconds")
      for (const hosts of [...processes, ...processes]) yield* Effect.exit(hosts.protect("a")(down))
      yield* TestClock.adjust("10 millis")
      for (const hosts of processes) {
        assert.strictEqual(yield* hosts.at("a").state, "open")
        assert.strictEqual(yield* hosts.at("b").state, "closed")
      }
    })
  )
})

describe("the options of a shared breaker", () => {
  const refused = (options: CircuitBreaker.Options) =>
    Effect.map(
      refusalOf(Effect.provide(CircuitBreaker.make(options) as Effect.Effect<unknown>, SharedStore.memory)),
      ({ message }) => message
    )
  const share = Share.local()

  it.effect("are refused without a name", () =>
    Effect.gen(function* () {
      const expected =
        'CircuitBreaker.make: option "name" must be given, for the breakers of a fleet with "share"'
      assert.include(yield* refused({ share }), expected)
      const keyed = Effect.provide(
        CircuitBreaker.keyed({ options: { share } }) as Effect.Effect<unknown>,
        SharedStore.memory
      )
      assert.include((yield* refusalOf(keyed)).message, 'option "options.name" must be given')
    })
  )

  it.effect("are refused with rules that differ in what is slow", () =>
    Effect.gen(function* () {
      const slow = (slowerThan: number) => Trip.slowRate({ slowerThan, threshold: 0.5, of: 10 })
      const trip = Trip.any(slow(100), slow(200))
      assert.include(
        yield* refused({ name: "partner", share, trip }),
        'option "trip" must be rules with one "slowerThan"'
      )
      assert.include(yield* refused({ name: "partner", share: Share.inline(), trip }), 'option "trip"')
    })
  )

  it("are refused where they are no share", () => {
    assert.throws(() => Share.local({ quorum: 0 }), 'Share.local: option "quorum" must be')
    assert.throws(
      () => Share.inline({ onStoreFailure: "never" } as never),
      'Share.inline: option "onStoreFailure" must be'
    )
  })

  it.scoped("are refused when a schedule or a function is to reach other processes", () =>
    Effect.gen(function* () {
      const [[breaker]] = (yield* started(1)).breakers
      for (const openFor of [Schedule.spaced("1 second"), () => "1 second" as const]) {
        const { message } = yield* refusalOf(breaker.configure({ openFor }))
        assert.include(message, 'CircuitBreaker.configure: option "openFor" must be a duration')
      }
      assert.include(Policy.describe(breaker), "openFor: 5s")
    })
  )

  it.scoped("are shown", () =>
    Effect.gen(function* () {
      const [[breaker]] = (yield* started(1)).breakers
      assert.include(Policy.describe(breaker), "share: { mode: local, quorum: 2 }")
      const [[inline]] = (yield* started(1, { share: Share.inline() })).breakers
      assert.include(Policy.describe(inline), "share: { mode: inline, onStoreFailure: local }")
    })
  )

  it.effect("are those of a tag's layer too, also with settings from the configuration", () => {
    class Partner extends CircuitBreaker.Tag("Partner")<Partner>() {}
    const layer = Partner.layerConfig({}, { share })
    return Effect.gen(function* () {
      assert.include(Policy.describe(yield* Partner), "share: { mode: local, quorum: 2 }")
      assert.strictEqual(yield* Partner.protect(up), "up")
    }).pipe(Effect.provide(Layer.provide(layer, SharedStore.memory)))
  })
})
