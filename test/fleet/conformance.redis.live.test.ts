// Redis obeys the laws of every store, by every client, and answers as the table does, whatever is asked.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, FastCheck, Scope } from "effect"
import type { SharedStore } from "effect-resilience/fleet"
import { afterAll, beforeAll } from "vitest"
import { type News, type Report, Table } from "../../src/core/fleet/table.js"
import { redisServer, type RedisServer } from "../support/redis.js"
import { clients, redisFleet } from "../support/redisFleet.js"
import { runs } from "../support/runs.js"
import { laws } from "./conformance.js"

const scope = Effect.runSync(Scope.make())
let server: RedisServer
beforeAll(async () => {
  server = await Effect.runPromise(Scope.extend(redisServer(), scope))
})
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

for (const client of Object.keys(clients)) {
  describe(`Redis by ${client}`, () => {
    for (const [name, law] of Object.entries(laws)) {
      it.scopedLive(name, () => Effect.flatMap(redisFleet(server, client), law))
    }
  })
}

it.scopedLive("a rate has no more than its burst when its key outlives it", () =>
  Effect.gen(function* () {
    const { drift, join } = yield* redisFleet(server, "ioredis 6")
    const store = yield* join
    const take = store.take({ id: "r", limit: 1, per: 60_000, burst: 5, permits: 60, atLeast: 1, spent: 0 })
    assert.strictEqual((yield* take).granted, 5)
    yield* drift(3_600_000)
    assert.strictEqual((yield* take).granted, 5)
  })
)

// ------------------------------------------------------------------------------------------------------ random histories

const minute = 60_000
const anyText = FastCheck.string({
  unit: FastCheck.nat({ max: 0xffff }).map((code) => String.fromCharCode(code))
})
const minutes = FastCheck.constantFrom(minute, 2 * minute, 3 * minute)
const few = FastCheck.nat({ max: 2 })
const maybe = <A>(value: FastCheck.Arbitrary<A>) => FastCheck.option(value, { nil: undefined, freq: 2 })

/** A report, with numbers of generations and leases relative to what is known. */
const said = FastCheck.record({
  id: FastCheck.constantFrom("a", "b {c}\n"),
  successes: few,
  failures: few,
  slow: few,
  window: minutes,
  change: maybe(
    FastCheck.record({
      state: FastCheck.constantFrom(...(["closed", "open", "half-open", "isolated"] as const)),
      remaining: FastCheck.constantFrom(0, minute, 3 * minute, Infinity),
      expected: FastCheck.constantFrom(undefined, -1, 0, 3)
    })
  ),
  settings: maybe(anyText),
  probe: maybe(
    FastCheck.record({ generation: FastCheck.constantFrom(-1, 0, 0, 1), permits: few, timeToLive: minutes })
  ),
  settled: FastCheck.array(
    FastCheck.record({
      which: FastCheck.nat({ max: 5 }),
      generation: FastCheck.constantFrom(-1, 0, 0),
      outcome: FastCheck.constantFrom(...(["success", "failure", "returned"] as const))
    }),
    { maxLength: 2 }
  )
})

const steps = {
  exchange: FastCheck.record({
    instance: FastCheck.constantFrom("one", "two", "three"),
    incarnation: FastCheck.constantFrom("first", "first", "first", "second"),
    /** 1: the next one; 0: once more; less: one that was overtaken. */
    sequence: FastCheck.constantFrom(1, 1, 1, 0, -1),
    timeToLive: minutes,
    reports: FastCheck.array(said, { maxLength: 3 })
  }),
  take: FastCheck.record({
    id: FastCheck.constantFrom("a", "b"),
    limit: FastCheck.constantFrom(7, 60, 1000),
    burst: FastCheck.constantFrom(1, 10, 60),
    permits: FastCheck.integer({ min: -5, max: 20 }),
    atLeast: FastCheck.integer({ min: 1, max: 3 }),
    spent: FastCheck.constantFrom(0, 0, 0, 4),
    receipt: FastCheck.nat({ max: 4 })
  }),
  read: FastCheck.record({
    key: FastCheck.constantFrom("a", "b"),
    holder: FastCheck.constantFrom("one", "two"),
    staleAfter: FastCheck.constantFrom(0, minute, 2 * minute),
    timeToLive: minutes
  }),
  write: FastCheck.record({
    key: FastCheck.constantFrom("a", "b"),
    which: maybe(FastCheck.nat({ max: 3 })),
    value: maybe(anyText),
    timeToLive: minutes
  }),
  release: FastCheck.record({
    key: FastCheck.constantFrom("a", "b"),
    holder: FastCheck.constantFrom("one", "two")
  }),
  advance: minutes,
  forget: FastCheck.constant(undefined)
}

type Steps = {
  readonly [K in keyof typeof steps]: (typeof steps)[K] extends FastCheck.Arbitrary<infer A> ? A : never
}
type Step = { readonly [K in keyof Steps]: readonly [kind: K, of: Steps[K]] }[keyof Steps]

const kinds = { exchange: 8, take: 5, read: 5, write: 5, release: 1, advance: 5, forget: 1 } as const

const history = FastCheck.array(
  FastCheck.oneof(
    ...Object.entries(kinds).map(([kind, weight]) => ({
      weight,
      arbitrary: FastCheck.tuple(
        FastCheck.constant(kind),
        steps[kind as keyof Steps] as FastCheck.Arbitrary<unknown>
      )
    }))
  ),
  { minLength: 20, maxLength: 80 }
) as FastCheck.Arbitrary<ReadonlyArray<Step>>

/** Numbers that both sides give as they like. Each number of the one belongs to one of the other. */
class Pairs<A> {
  private readonly lists = new Map<string, Array<readonly [table: A, redis: A]>>()

  add(of: string, table: A, redis: A): void {
    const list = this.lists.get(of) ?? []
    this.lists.set(of, list)
    const known = list.find((pair) => pair[0] === table || pair[1] === redis)
    if (known === undefined) list.push([table, redis])
    else assert.deepStrictEqual([table, redis], [...known], `a number of ${of} means two things`)
  }

  /** The latest but so many. */
  last(of: string, which: number): readonly [table: A | undefined, redis: A | undefined] {
    return this.lists.get(of)?.at(-1 - which) ?? [undefined, undefined]
  }
}

/** The same history on the table and on a store. */
class Comparison {
  private now = 5 * minute
  private readonly table = new Table()
  private readonly sequences = new Map<string, number>()
  private readonly generations = new Map<string, number>()
  private readonly epochs = new Pairs<number>()
  private readonly leases = new Pairs<number>()
  private readonly tokens = new Pairs<number>()
  private readonly receipts = new Pairs<string>()

  constructor(
    private readonly store: SharedStore.Adapter,
    private readonly advance: (millis: number) => Effect.Effect<void>,
    private readonly forget: Effect.Effect<void>
  ) {}

  play(history: ReadonlyArray<Step>): Effect.Effect<void, unknown> {
    return Effect.forEach(history, (step) => this.step(step), { discard: true })
  }

  private step([kind, of]: Step): Effect.Effect<unknown, unknown> {
    switch (kind) {
      case "exchange":
        return this.exchange(of)
      case "take":
        return this.take(of)
      case "read":
        return Effect.map(this.store.read(of), (redis) => {
          const table = this.table.read(of, this.now)
          this.same(of.key, this.tokens, table.lease, redis.lease)
          assert.deepStrictEqual({ ...redis, lease: undefined }, { ...table, lease: undefined })
        })
      case "write": {
        const [table, redis] =
          of.which === undefined ? [undefined, undefined] : this.tokens.last(of.key, of.which)
        return Effect.map(this.store.write({ ...of, lease: redis }), (stored) =>
          assert.strictEqual(stored, this.table.write({ ...of, lease: table }, this.now))
        )
      }
      case "release":
        this.table.release(of.key, of.holder, this.now)
        return this.store.release(of.key, of.holder)
      case "advance":
        this.now += of
        return this.advance(of)
      case "forget":
        this.table.forget()
        return this.forget
    }
  }

  private same<A>(of: string, pairs: Pairs<A>, table: A | undefined, redis: A | undefined): void {
    assert.strictEqual(redis === undefined, table === undefined, `one side gave a number of ${of}`)
    if (table !== undefined && redis !== undefined) pairs.add(of, table, redis)
  }

  private exchange({ incarnation, instance, reports, sequence, timeToLive }: Steps["exchange"]) {
    const last = this.sequences.get(instance) ?? 0
    this.sequences.set(instance, last + Math.max(0, sequence))
    const news = (side: 0 | 1): News => ({
      instance,
      incarnation,
      sequence: last + sequence,
      timeToLive,
      reports: reports.map(({ change, probe, settled, ...rest }): Report => {
        const generation = this.generations.get(rest.id) ?? 0
        return {
          ...rest,
          change: change && {
            ...change,
            expected: change.expected === undefined ? undefined : generation + change.expected
          },
          probe: probe && { ...probe, generation: generation + probe.generation },
          settled: settled.map(({ generation: off, outcome, which }) => ({
            lease: this.leases.last(rest.id, which)[side] ?? 0,
            generation: generation + off,
            outcome
          }))
        }
      })
    })
    const forTable = news(0)
    return Effect.map(this.store.exchange(news(1)), (redis) => {
      const { answer: table } = this.table.exchange(forTable, this.now)
      assert.strictEqual(redis.instances, table.instances)
      for (const [at, view] of table.views.entries()) {
        const other = redis.views[at]
        this.generations.set(view.id, view.generation)
        this.same(view.id, this.epochs, view.epoch, other.epoch)
        this.same(view.id, this.leases, view.lease, other.lease)
        assert.deepStrictEqual({ ...other, epoch: 0, lease: 0 }, { ...view, epoch: 0, lease: 0 })
      }
    })
  }

  private take({ receipt, ...request }: Steps["take"]) {
    const [table, redis] = this.receipts.last(request.id, receipt)
    const taken = this.table.take({ ...request, per: minute, receipt: table }, this.now)
    return Effect.map(this.store.take({ ...request, per: minute, receipt: redis }), (found) => {
      this.receipts.add(request.id, taken.receipt, found.receipt)
      const { receipt: _, ...expected } = taken
      for (const [name, value] of Object.entries(expected)) {
        assert.closeTo(Number(found[name as keyof typeof expected]), value, 1e-6, name)
      }
    })
  }
}

describe("Redis and the table", () => {
  it("give the same answers to the same questions", async () => {
    const play = (history: ReadonlyArray<Step>) =>
      Effect.scoped(
        Effect.gen(function* () {
          const fleet = yield* redisFleet(server, "ioredis 6")
          yield* new Comparison(yield* fleet.join, fleet.advance, fleet.forget).play(history)
        })
      )
    await FastCheck.assert(
      FastCheck.asyncProperty(history, (history) => Effect.runPromise(play(history))),
      { numRuns: runs(30, 300) }
    )
  })
})
