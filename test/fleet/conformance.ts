/** What every store does: laws over its operations, for processes that share it, in a time that the test moves. */
import { assert } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { graceMillis, memoryMillis } from "../../src/core/fleet/table.js"
import type { SharedStore } from "effect-resilience/fleet"
import { until } from "../support/until.js"

type Adapter = SharedStore.Adapter
type News = SharedStore.News
type Report = SharedStore.Report

/** A store, as several processes see it. */
export interface Fleet {
  /** The store as another process sees it. */
  readonly join: Effect.Effect<Adapter, never, Scope.Scope>
  /** The announcements that a process hears from now on. */
  readonly listen: Effect.Effect<Array<SharedStore.Announcement>, never, Scope.Scope>
  /** Moves the time of the store. */
  readonly advance: (millis: number) => Effect.Effect<void>
  /** The store loses all that it knows. */
  readonly forget: Effect.Effect<void>
}

const minute = 60_000

/** Names that could break a key, a script or a slot. */
export const oddNames: ReadonlyArray<string> = [
  "",
  " ",
  "{a}",
  "}{",
  "a{b}c",
  "a:b",
  "a\nb",
  "a\r\nb",
  'a"b\\',
  "*",
  "ä",
  "a\u0308",
  "名前",
  "🙂",
  "\ud800",
  "\ud801",
  "\0",
  "%00",
  "~",
  "x".repeat(10_000),
  "x".repeat(10_001),
  "é".repeat(64),
  "__proto__",
  "') return redis.call('FLUSHALL'"
]

const report = (id: string, more: Partial<Report> = {}): Report => ({
  id,
  successes: 0,
  failures: 0,
  slow: 0,
  window: minute,
  ...more
})

const news = (
  instance: string,
  sequence: number,
  reports: ReadonlyArray<Report>,
  more: Partial<News> = {}
): News => ({
  instance,
  incarnation: "first",
  sequence,
  timeToLive: 2 * minute,
  reports,
  ...more
})

/** What one process says of one breaker, and what it hears. */
const tell = (store: Adapter, instance: string, sequence: number, id: string, more: Partial<Report> = {}) =>
  Effect.map(store.exchange(news(instance, sequence, [report(id, more)])), ({ views }) => views[0])

const take = (store: Adapter, id: string, more: Partial<SharedStore.Take> = {}) =>
  store.take({ id, limit: 60, per: minute, burst: 60, permits: 1, atLeast: 1, spent: 0, ...more })

const read = (store: Adapter, key: string, holder: string, more: Partial<SharedStore.Read> = {}) =>
  store.read({ key, holder, staleAfter: minute, timeToLive: minute, ...more })

/** redis-cell's algorithm, as its source has it. */
class Cell {
  private readonly emission: number
  private readonly tolerance: number
  private arrival = 0

  constructor(
    private readonly maxBurst: number,
    count: number,
    period: number
  ) {
    this.emission = period / count
    this.tolerance = this.emission * (maxBurst + 1)
  }

  throttle(now: number, quantity: number): ReadonlyArray<number> {
    const increment = this.emission * quantity
    const before = Math.max(now, this.arrival)
    const next = before + increment
    const behind = now - (next - this.tolerance)
    const limited = behind < 0
    if (!limited) this.arrival = next
    const left = (limited ? before : next) - now
    const remaining = Math.floor((this.tolerance - left) / this.emission)
    return [limited ? 1 : 0, this.maxBurst + 1, remaining, limited ? -behind : -1, left]
  }
}

type Law = (fleet: Fleet) => Effect.Effect<unknown, unknown, Scope.Scope>

const equal = (actual: unknown, expected: unknown): void => assert.deepStrictEqual(actual, expected)

/** Each law and its name. */
export const laws: Readonly<Record<string, Law>> = {
  "what processes have counted is added up": ({ join }) =>
    Effect.gen(function* () {
      const [one, two] = yield* Effect.all([join, join])
      const first = yield* tell(one, "one", 1, "b", { successes: 3, failures: 1 })
      const second = yield* tell(two, "two", 1, "b", { failures: 2, slow: 4 })
      equal([first.successes, first.failures, first.slow, first.failing], [3, 1, 0, 1])
      equal([second.successes, second.failures, second.slow, second.failing], [3, 3, 4, 2])
      equal(second.epoch, first.epoch)
    }),

  "one exchange reports of many breakers, and of one several times": ({ join }) =>
    Effect.gen(function* () {
      const store = yield* join
      const reports = ["a", "b", "a"].map((id, at) => report(id, { successes: at + 1 }))
      const { views } = yield* store.exchange(news("one", 1, reports))
      equal(
        views.map(({ id, successes }) => [id, successes]),
        [
          ["a", 1],
          ["b", 2],
          ["a", 4]
        ]
      )
    }),

  "news that comes twice counts once": ({ join }) =>
    Effect.gen(function* () {
      const store = yield* join
      const settings = {
        settings: "s",
        change: { state: "open", remaining: minute, expected: undefined }
      } as const
      const probe = { probe: { generation: 1, permits: 5, timeToLive: minute } }
      const said = { failures: 1, ...settings, ...probe }
      const first = yield* tell(store, "one", 1, "b", said)
      const again = yield* tell(store, "one", 1, "b", said)
      equal([first.generation, first.settingsVersion, first.failures], [1, 1, 1])
      assert.isNumber(first.lease)
      equal(again, { ...first, lease: undefined })
    }),

  "news that was overtaken counts nothing, and what overtook it counts once": ({ join }) =>
    Effect.gen(function* () {
      const store = yield* join
      yield* tell(store, "one", 5, "b", { failures: 1 })
      yield* tell(store, "one", 4, "b", { failures: 1 })
      equal((yield* tell(store, "one", 5, "b", { failures: 1 })).failures, 1)
      equal((yield* tell(store, "one", 6, "b", { failures: 1 })).failures, 2)
    }),

  "a restarted process begins anew and is still one process": ({ join }) =>
    Effect.gen(function* () {
      const store = yield* join
      yield* store.exchange(news("one", 7, [report("b", { failures: 1 })]))
      const answer = yield* store.exchange(
        news("one", 1, [report("b", { failures: 1 })], { incarnation: "second" })
      )
      equal([answer.instances, answer.views[0].failures, answer.views[0].failing], [1, 2, 1])
    }),

  "a process lives until its time to live has passed since its last news": ({ advance, join }) =>
    Effect.gen(function* () {
      const store = yield* join
      const exchange = (instance: string, sequence: number) =>
        Effect.map(store.exchange(news(instance, sequence, [])), ({ instances }) => instances)
      equal(yield* exchange("one", 1), 1)
      yield* advance(minute)
      equal(yield* exchange("two", 1), 2)
      yield* advance(minute)
      equal(yield* exchange("two", 2), 1)
    }),

  "news counts again after its process was forgotten": ({ advance, join }) =>
    Effect.gen(function* () {
      const store = yield* join
      yield* tell(store, "one", 1, "b", { failures: 1 })
      yield* advance(2 * minute)
      equal((yield* tell(store, "one", 1, "b", { failures: 1 })).failures, 2)
    }),

  "a process counts as failing for a window after its last failure or slow call": ({ advance, join }) =>
    Effect.gen(function* () {
      const store = yield* join
      yield* tell(store, "one", 1, "b", { failures: 1, window: 2 * minute })
      yield* tell(store, "two", 1, "b", { slow: 1, window: minute })
      yield* tell(store, "three", 1, "b", { successes: 1 })
      equal((yield* tell(store, "three", 2, "b")).failing, 2)
      yield* advance(minute)
      equal((yield* tell(store, "three", 3, "b")).failing, 1)
      yield* advance(minute)
      equal((yield* tell(store, "three", 4, "b")).failing, 0)
    }),

  "of two changes of one generation the first is made": ({ join }) =>
    Effect.gen(function* () {
      const store = yield* join
      const open = { state: "open", remaining: minute, expected: 0 } as const
      const first = yield* tell(store, "one", 1, "b", { change: open })
      const second = yield* tell(store, "two", 1, "b", { change: { ...open, state: "isolated" } })
      equal([first.generation, first.state, first.remaining], [1, "open", minute])
      equal([second.generation, second.state], [1, "open"])
    }),

  "a change by hand is made whatever the state is": ({ join }) =>
    Effect.gen(function* () {
      const store = yield* join
      for (const [at, state] of [
        "isolated",
        "disabled",
        "metrics-only",
        "half-open",
        "closed",
        "open"
      ].entries()) {
        const change = { state: state as "open", remaining: 0, expected: undefined }
        const view = yield* tell(store, "one", at + 1, "b", { change })
        equal([view.generation, view.state, view.remaining], [at + 1, state, 0])
      }
    }),

  "a store that has forgotten is told the state by a process that knows more": ({ forget, join }) =>
    Effect.gen(function* () {
      const store = yield* join
      const change = { state: "open", remaining: minute, expected: 6 } as const
      equal((yield* tell(store, "one", 1, "b", { change })).generation, 7)
      yield* forget
      equal((yield* tell(store, "one", 2, "b")).generation, 0)
      const view = yield* tell(store, "one", 3, "b", { change: { ...change, expected: 7 } })
      equal([view.generation, view.state], [8, "open"])
    }),

  "an open circuit says how long it still lasts": ({ advance, join }) =>
    Effect.gen(function* () {
      const store = yield* join
      yield* tell(store, "one", 1, "b", { change: { state: "open", remaining: 90_000, expected: 0 } })
      yield* advance(minute)
      equal((yield* tell(store, "two", 1, "b")).remaining, 30_000)
      yield* advance(minute)
      const over = yield* tell(store, "two", 2, "b")
      equal([over.state, over.remaining], ["open", 0])
    }),

  "an endless open circuit is endless": ({ advance, join }) =>
    Effect.gen(function* () {
      const store = yield* join
      const change = { state: "open", remaining: Infinity, expected: 0 } as const
      equal((yield* tell(store, "one", 1, "b", { change })).remaining, Infinity)
      yield* advance(minute)
      equal((yield* tell(store, "two", 1, "b")).remaining, Infinity)
    }),

  "settings reach every process, with a version": ({ join }) =>
    Effect.gen(function* () {
      const store = yield* join
      const before = yield* tell(store, "one", 1, "b")
      equal([before.settings, before.settingsVersion], [undefined, 0])
      for (const [at, settings] of ["", ...oddNames].entries()) {
        yield* tell(store, "one", at + 2, "b", { settings })
        const view = yield* tell(store, "two", at + 2, "b")
        equal([view.settings, view.settingsVersion], [settings, at + 1])
      }
    }),

  "probes are leased, so many for all": ({ join }) =>
    Effect.gen(function* () {
      const store = yield* join
      const probe = { generation: 0, permits: 2, timeToLive: minute }
      const leases = []
      for (const at of [1, 2, 3]) leases.push((yield* tell(store, `${at}`, 1, "b", { probe })).lease)
      assert.isNumber(leases[0])
      assert.isNumber(leases[1])
      assert.notStrictEqual(leases[0], leases[1])
      equal(leases[2], undefined)
      equal((yield* tell(store, "4", 1, "b", { probe: { ...probe, generation: 1 } })).lease, undefined)
    }),

  "a probe that is over makes room, and counts as it ended, once": ({ join }) =>
    Effect.gen(function* () {
      const store = yield* join
      const probe = { generation: 0, permits: 1, timeToLive: minute }
      let sequence = 0
      const seen = []
      for (const outcome of ["success", "failure", "returned"] as const) {
        const { lease } = yield* tell(store, "one", ++sequence, "b", { probe })
        const settled = [{ lease: lease ?? NaN, generation: 0, outcome }]
        yield* tell(store, "one", ++sequence, "b", { settled })
        seen.push((yield* tell(store, "one", ++sequence, "b", { settled })).probes)
      }
      equal(seen, [
        { successes: 1, failures: 0 },
        { successes: 1, failures: 1 },
        { successes: 1, failures: 1 }
      ])
    }),

  "a probe whose holder has died comes back by itself and counts for nothing": ({ advance, join }) =>
    Effect.gen(function* () {
      const store = yield* join
      const probe = { generation: 0, permits: 1, timeToLive: minute }
      const { lease: first = NaN } = yield* tell(store, "one", 1, "b", { probe })
      yield* advance(minute)
      const { lease: second = NaN } = yield* tell(store, "two", 1, "b", { probe })
      assert.isAbove(second, first)
      const settled = [{ lease: first, generation: 0, outcome: "failure" }] as const
      const view = yield* tell(store, "one", 2, "b", { settled, probe })
      equal([view.probes, view.lease], [{ successes: 0, failures: 0 }, undefined])
    }),

  "a probe that ends for another generation than the present one is not over": ({ join }) =>
    Effect.gen(function* () {
      const store = yield* join
      const probe = { generation: 0, permits: 1, timeToLive: minute }
      const { lease = NaN } = yield* tell(store, "one", 1, "b", { probe })
      const settled = [{ lease, generation: 1, outcome: "success" }] as const
      const view = yield* tell(store, "one", 2, "b", { settled, probe })
      equal([view.probes, view.lease], [{ successes: 0, failures: 0 }, undefined])
    }),

  "a probe that ends after its time to live counts for nothing, while others are out": ({ advance, join }) =>
    Effect.gen(function* () {
      const store = yield* join
      const probe = { generation: 0, permits: 2, timeToLive: minute }
      const { lease = NaN } = yield* tell(store, "one", 1, "b", { probe })
      yield* tell(store, "two", 1, "b", { probe: { ...probe, timeToLive: 5 * minute } })
      yield* advance(minute)
      const settled = [{ lease, generation: 0, outcome: "success" }] as const
      equal((yield* tell(store, "one", 2, "b", { settled })).probes, { successes: 0, failures: 0 })
    }),

  "a change of state ends the probes of before": ({ join }) =>
    Effect.gen(function* () {
      const store = yield* join
      const probe = { generation: 0, permits: 1, timeToLive: minute }
      const { lease = NaN } = yield* tell(store, "one", 1, "b", { probe })
      const change = { state: "half-open", remaining: 0, expected: 0 } as const
      const next = yield* tell(store, "two", 1, "b", { change, probe: { ...probe, generation: 1 } })
      assert.isNumber(next.lease)
      const settled = [{ lease, generation: 0, outcome: "success" }] as const
      equal((yield* tell(store, "one", 2, "b", { settled })).probes, { successes: 0, failures: 0 })
      const outcome = [{ lease: next.lease ?? NaN, generation: 1, outcome: "success" }] as const
      equal((yield* tell(store, "two", 2, "b", { settled: outcome })).probes, { successes: 1, failures: 0 })
    }),

  "a breaker is forgotten an hour after its last news, and has another epoch then": ({ advance, join }) =>
    Effect.gen(function* () {
      const store = yield* join
      const first = yield* tell(store, "one", 1, "b", { failures: 1 })
      yield* advance(memoryMillis - minute)
      const kept = yield* tell(store, "one", 2, "b", { failures: 1 })
      equal([kept.failures, kept.epoch], [2, first.epoch])
      yield* advance(memoryMillis)
      const later = yield* tell(store, "one", 3, "b", { failures: 1 })
      equal([later.failures, later.generation], [1, 0])
      assert.notStrictEqual(later.epoch, first.epoch)
    }),

  "a store that has lost its data begins another epoch": ({ forget, join }) =>
    Effect.gen(function* () {
      const store = yield* join
      const first = yield* tell(store, "one", 5, "b", { failures: 1 })
      yield* forget
      const later = yield* tell(store, "one", 6, "b", { failures: 2 })
      equal(later.failures, 2)
      assert.notStrictEqual(later.epoch, first.epoch)
    }),

  "every name is a breaker, a rate and a value of its own": ({ join }) =>
    Effect.gen(function* () {
      const store = yield* join
      const reports = oddNames.map((id, at) => report(id, { successes: at + 1 }))
      yield* store.exchange(news("one", 1, reports))
      const { views } = yield* store.exchange(
        news(
          "two",
          1,
          oddNames.map((id) => report(id))
        )
      )
      equal(
        views.map(({ id, successes }) => [id, successes]),
        oddNames.map((id, at) => [id, at + 1])
      )
      for (const [at, name] of oddNames.entries()) {
        equal((yield* take(store, name)).remaining, 59)
        const { lease } = yield* read(store, name, "one")
        assert.isNumber(lease)
        equal(yield* store.write({ key: name, lease, value: `${at}`, timeToLive: minute }), true)
      }
      for (const [at, name] of oddNames.entries()) {
        equal((yield* read(store, name, "one")).found?.value, `${at}`)
        equal((yield* store.exchange(news(name, 1, []))).instances, at + 3)
      }
    }),

  "changes of state and settings are announced to every process, in their order, once": ({ join, listen }) =>
    Effect.gen(function* () {
      const store = yield* join
      const heard = yield* Effect.all([listen, listen])
      const change = { state: "open", remaining: minute, expected: 0 } as const
      yield* tell(store, "one", 1, "b", { successes: 1 })
      yield* tell(store, "one", 2, "b", { change })
      yield* tell(store, "one", 2, "b", { change })
      yield* tell(store, "two", 1, "b", { change })
      yield* tell(store, "one", 3, "b", { settings: "s" })
      const last = { change: { state: "closed", remaining: 0, expected: 1 } as const, settings: "t" }
      yield* tell(store, "one", 4, "b", last)
      const of = (
        generation: number,
        state: string,
        remaining: number,
        settings?: string,
        settingsVersion = 0
      ) => ({
        id: "b",
        generation,
        state,
        remaining,
        settings,
        settingsVersion
      })
      const expected = [of(1, "open", minute), of(1, "open", minute, "s", 1), of(2, "closed", 0, "t", 2)]
      for (const each of heard) {
        yield* until(
          Effect.sync(() => each.length),
          (count) => count >= expected.length
        )
        equal(each, expected)
      }
    }),

  "an announcement says the name as it is": ({ join, listen }) =>
    Effect.gen(function* () {
      const store = yield* join
      const heard = yield* listen
      const change = { state: "isolated", remaining: 0, expected: undefined } as const
      const reports = oddNames.map((id) => report(id, { change, settings: id }))
      yield* store.exchange(news("one", 1, reports))
      yield* until(
        Effect.sync(() => heard.length),
        (count) => count >= oddNames.length
      )
      equal(
        heard.map(({ id, settings }) => [id, settings]),
        oddNames.map((id) => [id, id])
      )
    }),

  // --------------------------------------------------------------------------------------------------------- rates

  "a rate grants what it has, in the order in which processes ask": ({ advance, join }) =>
    Effect.gen(function* () {
      const [one, two] = yield* Effect.all([join, join])
      equal((yield* take(one, "r", { permits: 50 })).granted, 50)
      const { granted, remaining } = yield* take(two, "r", { permits: 50 })
      equal([granted, remaining], [10, 0])
      const refused = yield* take(one, "r", { permits: 5, atLeast: 5 })
      equal([refused.granted, refused.retryAfter, refused.resetAfter], [0, 5000, minute])
      yield* advance(minute)
      const later = yield* take(two, "r", { permits: 10 })
      equal([later.granted, later.remaining, later.resetAfter], [10, 50, 10_000])
    }),

  "a rate answers as redis-cell does": ({ advance, join }) =>
    Effect.gen(function* () {
      const store = yield* join
      /** (limited, limit, remaining, retry after, reset) as in `CL.THROTTLE id burst-1 limit per permits`. */
      const throttle = (id: string, burst: number, limit: number, per: number, permits = 1) =>
        Effect.map(
          store.take({ id, limit, per, burst, permits, atLeast: permits, spent: 0 }),
          ({ granted, remaining, resetAfter, retryAfter }) =>
            granted === 0
              ? [1, burst, remaining, retryAfter, resetAfter]
              : [0, burst, remaining, -1, resetAfter]
        )
      equal(yield* throttle("user123", 16, 30, minute), [0, 16, 15, -1, 2000])
      const cell = new Cell(15, 30, 60 * minute)
      let now = 0
      for (const [after, permits] of [
        ...Array.from({ length: 17 }, () => [0, 1] as const),
        ...([
          [1, 1],
          [1, 1],
          [3, 2],
          [0, 1],
          [7, 4],
          [40, 1],
          [0, 15],
          [0, 1]
        ] as const)
      ]) {
        now += after * minute
        yield* advance(after * minute)
        equal(yield* throttle("user456", 16, 30, 60 * minute, permits), cell.throttle(now, permits))
      }
    }),

  "permits spent without asking are charged first": ({ join }) =>
    Effect.gen(function* () {
      const store = yield* join
      const { granted, remaining } = yield* take(store, "r", { permits: 10, spent: 55 })
      equal([granted, remaining], [5, 0])
      const owing = yield* take(store, "r", { spent: 60 })
      equal([owing.granted, owing.retryAfter], [0, 61_000])
    }),

  "permits go back with the receipt of their grant": ({ join }) =>
    Effect.gen(function* () {
      const store = yield* join
      const { receipt } = yield* take(store, "r", { permits: 60 })
      equal((yield* take(store, "r", { permits: -20 })).granted, 0)
      const back = yield* take(store, "r", { permits: -20, receipt })
      equal([back.granted, back.remaining], [-20, 20])
      equal((yield* take(store, "other", { permits: -20, receipt })).granted, 0)
    }),

  "a refused request changes nothing about what goes back": ({ advance, join }) =>
    Effect.gen(function* () {
      const store = yield* join
      const rate = { burst: 120 }
      const { receipt } = yield* take(store, "r", { ...rate, permits: 50 })
      yield* take(store, "r", { ...rate, permits: 40 })
      yield* advance(minute)
      equal((yield* take(store, "r", { ...rate, permits: 200, atLeast: 200 })).granted, 0)
      equal((yield* take(store, "r", { ...rate, permits: -50, receipt })).granted, -30)
    }),

  // -------------------------------------------------------------------------------------------------------- values

  "one reader gets the lease of a missing value, and all read what it stores": ({ join }) =>
    Effect.gen(function* () {
      const [one, two] = yield* Effect.all([join, join])
      const { lease } = yield* read(one, "k", "one")
      assert.isNumber(lease)
      const other = yield* read(two, "k", "two")
      equal([other.found, other.lease, other.busyFor], [undefined, undefined, minute])
      equal(yield* one.write({ key: "k", lease, value: "v", timeToLive: minute }), true)
      equal((yield* read(two, "k", "two")).found, { value: "v", age: 0 })
    }),

  "a text is stored as it is": ({ join }) =>
    Effect.gen(function* () {
      const store = yield* join
      for (const value of oddNames) {
        equal(yield* store.write({ key: "k", lease: undefined, value, timeToLive: minute }), true)
        equal((yield* read(store, "k", "one")).found?.value, value)
      }
    }),

  "a holder that asks again gets its lease again": ({ join }) =>
    Effect.gen(function* () {
      const store = yield* join
      const first = yield* read(store, "k", "one")
      const again = yield* read(store, "k", "one")
      assert.isAbove(again.lease ?? NaN, first.lease ?? NaN)
    }),

  "a lease that is over passes to the next reader": ({ advance, join }) =>
    Effect.gen(function* () {
      const store = yield* join
      yield* read(store, "k", "one")
      yield* advance(minute)
      assert.isNumber((yield* read(store, "k", "two")).lease)
      yield* store.release("k", "one")
      equal((yield* read(store, "k", "three")).lease, undefined)
      yield* store.release("k", "two")
      assert.isNumber((yield* read(store, "k", "three")).lease)
    }),

  "a stale value is found while one reader looks it up": ({ advance, join }) =>
    Effect.gen(function* () {
      const store = yield* join
      yield* store.write({ key: "k", lease: undefined, value: "v", timeToLive: 5 * minute })
      yield* advance(minute)
      const found = { value: "v", age: minute }
      const first = yield* read(store, "k", "one")
      equal(first.found, found)
      assert.isNumber(first.lease)
      const second = yield* read(store, "k", "two")
      equal([second.found, second.lease], [found, undefined])
      yield* advance(4 * minute)
      equal((yield* read(store, "k", "two")).found, undefined)
    }),

  "a lookup that was overtaken is not stored": ({ advance, join }) =>
    Effect.gen(function* () {
      const store = yield* join
      const { lease: first } = yield* read(store, "k", "one")
      yield* advance(minute)
      const { lease: second } = yield* read(store, "k", "two")
      const write = (lease: number | undefined, value: string | undefined) =>
        store.write({ key: "k", lease, value, timeToLive: minute })
      equal(yield* write(second, "second"), true)
      equal(yield* write(first, "first"), false)
      equal((yield* read(store, "k", "three")).found?.value, "second")
      equal(yield* write(second, "again"), false)
    }),

  "a lookup that is slower than its lease is stored if nothing newer was": ({ advance, join }) =>
    Effect.gen(function* () {
      const store = yield* join
      const { lease: first } = yield* read(store, "k", "one")
      yield* advance(minute)
      const { lease: second } = yield* read(store, "k", "two")
      const write = (lease: number | undefined, value: string) =>
        store.write({ key: "k", lease, value, timeToLive: minute })
      equal(yield* write(first, "first"), true)
      equal((yield* read(store, "k", "three")).found?.value, "first")
      // The other one is still at it.
      equal((yield* read(store, "k", "three", { staleAfter: 0 })).lease, undefined)
      equal(yield* write(second, "second"), true)
      equal((yield* read(store, "k", "three")).found?.value, "second")
    }),

  "a lease is forgotten a while after it is over": ({ advance, join }) =>
    Effect.gen(function* () {
      const store = yield* join
      const { lease: one } = yield* read(store, "a", "one")
      const { lease: two } = yield* read(store, "b", "one", { timeToLive: 2 * minute })
      yield* advance(minute + graceMillis)
      equal(yield* store.write({ key: "a", lease: one, value: "v", timeToLive: minute }), false)
      equal(yield* store.write({ key: "b", lease: two, value: "v", timeToLive: minute }), true)
    }),

  "a change by hand outdates every lookup that has begun": ({ join }) =>
    Effect.gen(function* () {
      const store = yield* join
      const { lease } = yield* read(store, "k", "one")
      equal(yield* store.write({ key: "k", lease: undefined, value: "new", timeToLive: minute }), true)
      equal(yield* store.write({ key: "k", lease, value: "old", timeToLive: minute }), false)
      equal((yield* read(store, "k", "two")).found?.value, "new")
      equal(yield* store.write({ key: "k", lease: undefined, value: undefined, timeToLive: minute }), true)
      equal(yield* store.write({ key: "k", lease, value: "old", timeToLive: minute }), false)
      const next = yield* read(store, "k", "two")
      equal(next.found, undefined)
      assert.isAbove(next.lease ?? NaN, lease ?? NaN)
    }),

  "a store that has lost its data takes no lookup of before": ({ forget, join }) =>
    Effect.gen(function* () {
      const store = yield* join
      const { lease } = yield* read(store, "k", "one")
      yield* forget
      equal(yield* store.write({ key: "k", lease, value: "v", timeToLive: minute }), false)
      const next = yield* read(store, "k", "two")
      equal(yield* store.write({ key: "k", lease, value: "v", timeToLive: minute }), false)
      assert.isAbove(next.lease ?? NaN, lease ?? NaN)
    }),

  "endless times are taken": ({ advance, join }) =>
    Effect.gen(function* () {
      const store = yield* join
      yield* store.write({ key: "k", lease: undefined, value: "v", timeToLive: Infinity })
      yield* advance(60 * minute)
      const { found } = yield* read(store, "k", "one", { staleAfter: Infinity, timeToLive: Infinity })
      equal(found, { value: "v", age: 60 * minute })
    })
}
