import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as Rate from "../../src/core/rateLimit.js"
import { Line, type Permit, type Place } from "../../src/rateLimiter/queue.js"
import { runs } from "../support/runs.js"

// -------------------------------------------------------------------------- the line, worked out anew at every step

interface Request {
  readonly id: number
  readonly cost: number
  readonly since: number
  readonly deadline: number
  readonly promised: boolean
  /** Of a promised turn: when it is. */
  readonly at: number
}

interface LetIn {
  readonly id: number
  readonly at: number
  readonly cost: number
  readonly generation: number
  readonly total: number
}

class Model {
  rule: Rate.Rule
  used: Rate.Used
  last = 0
  total = 0
  generation = 0
  /** No turn that is worked out anew is before the last change. */
  changedAt = 0
  waiting: ReadonlyArray<Request> = []
  letIn: ReadonlyArray<LetIn> = []

  constructor(rate: Rate.Rate) {
    this.rule = Rate.rule(rate)
    this.used = Rate.nothing(this.rule, 0)
  }

  /** Everybody's turn, from the first to the last. */
  turns(): ReadonlyArray<number> {
    let used = this.used
    let last = this.last
    return this.waiting.map(({ at, cost, promised, since }) => {
      last = promised
        ? Math.max(at, last)
        : Rate.due(this.rule, used, cost, Math.max(since, last, this.changedAt))
      used = Rate.admit(this.rule, used, cost, last)
      return last
    })
  }

  /** The turn of one who comes now. */
  turn(cost: number, now: number): number {
    const turns = this.turns()
    const used = this.waiting.reduce(
      (used, request, index) => Rate.admit(this.rule, used, request.cost, turns[index]),
      this.used
    )
    return Rate.due(this.rule, used, cost, Math.max(now, turns.at(-1) ?? this.last))
  }

  admit(id: number, cost: number, at: number): void {
    this.used = Rate.admit(this.rule, this.used, cost, at)
    this.last = at
    this.total += cost
    this.letIn = [...this.letIn, { id, at, cost, generation: this.generation, total: this.total }]
  }

  settle(now: number): void {
    const turns = this.turns()
    const due = turns.filter((at) => at <= now).length
    this.waiting.slice(0, due).forEach(({ cost, id }, index) => this.admit(id, cost, turns[index]))
    this.waiting = this.waiting.slice(due)
  }

  leave(id: number, now: number): void {
    this.changedAt = now
    this.waiting = this.waiting.filter((request) => request.id !== id)
    const admitted = this.letIn.find((call) => call.id === id)
    if (admitted === undefined) return
    this.letIn = this.letIn.filter((call) => call !== admitted)
    if (admitted.generation !== this.generation) return
    this.used = Rate.giveBack(this.rule, this.used, admitted, this.total - admitted.total)
  }

  setRate(rate: Rate.Rate, now: number): ReadonlyArray<number> {
    const before = this.rule
    this.rule = Rate.rule(rate)
    this.used = Rate.adopt(before, this.used, this.rule, now)
    this.generation += 1
    this.changedAt = now
    const rejected: Array<number> = []
    for (let index = 0; index < this.waiting.length;) {
      const { cost, deadline, id, promised } = this.waiting[index]
      if (!promised && (cost > this.rule.most || this.turns()[index] > deadline)) {
        rejected.push(id)
        this.waiting = this.waiting.filter((request) => request.id !== id)
      } else index += 1
    }
    return rejected
  }
}

// ------------------------------------------------------------------------------------------------ random histories

const rate = FastCheck.record({
  tag: FastCheck.constantFrom("smooth", "bursty", "tokenBucket", "slidingWindow"),
  limit: FastCheck.integer({ min: 1, max: 6 }),
  burst: FastCheck.integer({ min: 1, max: 6 }),
  per: FastCheck.constantFrom(1, 1.001, 7)
}).map(({ burst, limit, per, tag }): Rate.Rate =>
  tag === "tokenBucket" ? { _tag: tag, limit, per, burst } : ({ _tag: tag, limit, per } as Rate.Rate)
)

const cost = FastCheck.constantFrom(1, 1, 1, 2, 3, 6)
const pick = FastCheck.double({ min: 0, max: 0.999, noNaN: true })

const command = FastCheck.oneof(
  {
    weight: 4,
    arbitrary: FastCheck.record({
      do: FastCheck.constant("pass" as const),
      micros: FastCheck.oneof(
        FastCheck.integer({ min: 0, max: 1500 }),
        FastCheck.constantFrom(0, 7000, 31_536_000_000_000)
      )
    })
  },
  { weight: 2, arbitrary: FastCheck.record({ do: FastCheck.constant("take" as const), cost }) },
  {
    weight: 6,
    arbitrary: FastCheck.record({
      do: FastCheck.constant("enter" as const),
      cost,
      maxWait: FastCheck.constantFrom(0, 500, 5000, 50_000, Infinity)
    })
  },
  { weight: 2, arbitrary: FastCheck.record({ do: FastCheck.constant("reserve" as const), cost }) },
  { weight: 3, arbitrary: FastCheck.record({ do: FastCheck.constant("leave" as const), pick }) },
  { weight: 1, arbitrary: FastCheck.record({ do: FastCheck.constant("change" as const), rate }) }
)

const maxQueued = 20

describe("the queue of a rate limiter", () => {
  it.prop(
    "gives everybody the turn that a model of the whole queue gives, in order",
    [rate, FastCheck.array(command, { minLength: 1, maxLength: 60 })],
    ([rate, commands]) => {
      const line = new Line(rate, maxQueued, 0)
      const model = new Model(rate)
      const places = new Map<number, Place>()
      const taken = new Map<number, Permit>()
      let now = 0
      let next = 0

      const check = () => {
        for (const [id, place] of places) {
          const admitted = model.letIn.find((call) => call.id === id)
          const index = model.waiting.findIndex((request) => request.id === id)
          const expected = admitted !== undefined ? "admitted" : index >= 0 ? "waiting" : place.state
          assert.strictEqual(place.state, expected)
          if (admitted !== undefined) {
            const { at, cost, generation, total } = admitted
            assert.deepStrictEqual(place.permit, { at, cost, generation, total })
          }
        }
        assert.strictEqual(line.queued, model.waiting.length)
        for (const cost of [1, model.rule.most]) {
          assert.strictEqual(line.turn(cost, now), model.turn(cost, now))
        }
        assert.strictEqual(line.turn(model.rule.most + 1, now), Infinity)
        // The first that somebody waits at is the one that needs a timer, and knows when.
        const turns = model.turns()
        const first = model.waiting.findIndex(({ promised }) => !promised)
        for (const [index, { id }] of model.waiting.entries()) {
          const place = places.get(id)!
          assert.strictEqual(line.isFirst(place), index === first)
          if (index === first) assert.strictEqual(line.firstAt, turns[index])
        }
      }

      for (const step of commands) {
        switch (step.do) {
          case "pass":
            now += step.micros
            line.settle(now)
            model.settle(now)
            break
          case "take": {
            model.settle(now)
            const possible =
              step.cost <= model.rule.most && model.waiting.length === 0 && model.turn(step.cost, now) <= now
            assert.strictEqual(line.tryTake(step.cost, now), possible)
            if (possible) {
              model.admit(next, step.cost, now)
              taken.set(next++, line.permit())
            }
            break
          }
          case "enter":
          case "reserve": {
            const { cost } = step
            const deadline = step.do === "enter" ? now + step.maxWait : Infinity
            const promised = step.do === "reserve"
            const turn = line.turn(cost, now)
            if (turn === Infinity || turn > deadline || (turn > now && line.isFull)) break
            places.set(next, line.enter({ cost, deadline, promised, isReady: true }, turn, now))
            const request = { id: next++, cost, since: now, deadline, promised, at: turn }
            model.waiting = [...model.waiting, request]
            model.settle(now)
            break
          }
          case "leave": {
            const id = Math.floor(step.pick * next)
            const place = places.get(id)
            const permit = taken.get(id)
            if (place !== undefined) line.leave(place, now)
            if (permit !== undefined) line.giveBack(permit, now)
            places.delete(id)
            taken.delete(id)
            model.leave(id, now)
            model.settle(now)
            break
          }
          case "change": {
            line.setRate(step.rate, now)
            for (const id of model.setRate(step.rate, now)) {
              assert.strictEqual(places.get(id)?.state, "rejected")
              places.delete(id)
            }
            model.settle(now)
            break
          }
        }
        check()
      }
      const order = model.letIn.filter(({ id }) => places.has(id)).map(({ id }) => id)
      assert.deepStrictEqual(
        order,
        [...order].sort((a, b) => a - b)
      )
    },
    { fastCheck: { numRuns: runs(150, 20_000) } }
  )

  it.prop(
    "does not depend on when it is looked at: late timers cost nobody a turn",
    [
      rate,
      FastCheck.array(FastCheck.record({ cost, pause: FastCheck.integer({ min: 0, max: 900 }) }), {
        minLength: 1,
        maxLength: 40
      }),
      FastCheck.array(FastCheck.integer({ min: 0, max: 3000 }), { maxLength: 60 })
    ],
    ([rate, requests, looks]) => {
      const settled = (when: ReadonlyArray<number>) => {
        const line = new Line(rate, Infinity, 0)
        const instants = [...when]
        let now = 0
        const places = requests.map(({ cost: wanted, pause }) => {
          const to = now + pause
          for (; instants.length > 0 && now + instants[0] < to; line.settle(now)) now += instants.shift()!
          now = to
          const cost = Math.min(wanted, Rate.rule(rate).most)
          return line.enter(
            { cost, deadline: Infinity, promised: false, isReady: true },
            line.turn(cost, now),
            now
          )
        })
        for (const pause of instants) line.settle((now += pause))
        line.settle(1e12)
        return places.map(({ permit }) => permit?.at)
      }
      assert.deepStrictEqual(settled(looks), settled([]))
    },
    { fastCheck: { numRuns: 1000 } }
  )

  it("lets a promised turn be later only for as long as somebody before it is", () => {
    const slow: Rate.Rate = { _tag: "smooth", limit: 1, per: 10 }
    for (const leaves of [false, true]) {
      const line = new Line({ _tag: "smooth", limit: 1, per: 1 }, Infinity, 0)
      line.tryTake(1, 0)
      const enter = (promised: boolean) =>
        line.enter({ cost: 1, deadline: Infinity, promised, isReady: true }, line.turn(1, 0), 0)
      const waiter = enter(false)
      const promised = enter(true)
      line.setRate(slow, 0)
      if (leaves) line.leave(waiter, 0)
      line.settle(1_000_000)
      assert.deepStrictEqual(
        [waiter.permit?.at, promised.permit?.at],
        leaves ? [undefined, 2000] : [10_000, 10_000]
      )
    }
  })
})

// ------------------------------------------------------------------------------------------------------------ steps

/** Counts how often a line looks at its rule: a few times for each turn that it works out. */
const looksOf = (line: Line): (() => number) => {
  let looks = 0
  const inside = line as unknown as { rule: Rate.Rule }
  inside.rule = new Proxy(inside.rule, {
    get: (rule, property) => {
      looks += 1
      return Reflect.get(rule, property) as unknown
    }
  })
  return () => looks
}

const hourly: ReadonlyArray<Rate.Rate> = [
  { _tag: "smooth", limit: 3, per: 3_600_000 },
  { _tag: "tokenBucket", limit: 3, per: 3_600_000, burst: 5 },
  { _tag: "bursty", limit: 3, per: 3_600_000 },
  { _tag: "slidingWindow", limit: 3, per: 3_600_000 }
]

/** The most looks that one leaving and one entering take in a line of so many. */
const looksToChange = (
  rate: Rate.Rate,
  length: number,
  costOf: (index: number) => number,
  pick: (length: number) => number
): number => {
  const line = new Line(rate, Infinity, 0)
  let now = 0
  let entered = 0
  const enter = () => {
    const cost = costOf(entered++)
    return line.enter({ cost, deadline: Infinity, promised: false, isReady: true }, line.turn(cost, now), now)
  }
  while (line.tryTake(1, now));
  const places = Array.from({ length }, enter)
  const looks = looksOf(line)
  let most = 0
  for (let step = 0; step < 50; step++) {
    now += 1
    const before = looks()
    const [place] = places.splice(pick(places.length), 1)
    line.leave(place, now)
    places.push(enter())
    line.settle(now)
    most = Math.max(most, looks() - before)
  }
  assert.strictEqual(line.queued, length)
  return most
}

describe("leaving and entering a queue of ten thousand", () => {
  const positions: ReadonlyArray<readonly [name: string, pick: (length: number) => number]> = [
    ["the front", () => 0],
    ["the middle", (length) => length >> 1],
    ["the end", (length) => length - 1]
  ]
  for (const rate of hourly) {
    for (const [name, pick] of positions) {
      it(`takes as many steps as in a line of ten, ${rate._tag}, from ${name}`, () => {
        assert.isAtMost(
          looksToChange(rate, 10_000, () => 1, pick),
          looksToChange(rate, 10, () => 1, pick)
        )
      })
    }
  }

  for (const rate of hourly.slice(0, 2)) {
    it(`takes as many steps as in a line of ten when costs differ, ${rate._tag}`, () => {
      const costOf = (index: number) => 1 + (index % 3)
      const pick = (length: number) => length >> 1
      assert.isAtMost(looksToChange(rate, 10_000, costOf, pick), looksToChange(rate, 10, costOf, pick))
    })
  }

  for (const rate of hourly.slice(0, 3)) {
    it(`takes as many steps as in a line of ten after a permit came back, ${rate._tag}`, () => {
      const looksAfter = (length: number) => {
        const line = new Line(rate, Infinity, 0)
        line.tryTake(1, 0)
        const permit = line.permit()
        while (line.tryTake(1, 0));
        const enter = () =>
          line.enter({ cost: 1, deadline: Infinity, promised: false, isReady: true }, line.turn(1, 1), 1)
        for (let index = 0; index < length; index++) enter()
        const looks = looksOf(line)
        line.giveBack(permit, 1)
        enter()
        return looks()
      }
      assert.isAtMost(looksAfter(10_000), looksAfter(10))
    })
  }

  it("takes as many steps as in a line of ten when all of it is reserved", () => {
    for (const rate of hourly) {
      const looksBehind = (length: number) => {
        const line = new Line(rate, Infinity, 0)
        const enter = (promised: boolean) =>
          line.enter({ cost: 1, deadline: Infinity, promised, isReady: true }, line.turn(1, 0), 0)
        while (line.tryTake(1, 0));
        let asked = 0
        for (let index = 0; index < length; index++) {
          Object.defineProperty(enter(true), "promised", { get: () => ++asked > 0 })
        }
        const looks = looksOf(line)
        asked = 0
        for (let round = 0; round < 10; round++) line.leave(enter(false), 0)
        return looks() + asked
      }
      assert.isAtMost(looksBehind(10_000), looksBehind(10))
    }
  })
})
