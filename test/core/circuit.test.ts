import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { isDeepStrictEqual } from "node:util"
import * as Circuit from "../../src/core/circuit.js"
import * as Trip from "../../src/core/trip.js"
import * as Model from "./model.js"
import { runs } from "../support/runs.js"

// ---------------------------------------------------------------------------------------------- random circuits

const extent = FastCheck.oneof(
  FastCheck.record({ of: FastCheck.integer({ min: 1, max: 6 }) }),
  FastCheck.record({ within: FastCheck.constantFrom(10, 40, 100, 333) })
)

const count = FastCheck.integer({ min: 1, max: 3 })

const simpleRule: FastCheck.Arbitrary<Model.Rule> = FastCheck.oneof(
  FastCheck.record({ rule: FastCheck.constant("consecutive" as const), count }),
  FastCheck.record({ rule: FastCheck.constant("failures" as const), count, window: extent }).map((rule) =>
    "of" in rule.window ? { ...rule, count: Math.min(rule.count, rule.window.of) } : rule
  ),
  FastCheck.record({
    rule: FastCheck.constantFrom("failureRate" as const, "slowRate" as const),
    share: FastCheck.constantFrom<Model.Share>([1, 2], [1, 3], [2, 3], [3, 10], [1, 1]),
    minimumCalls: FastCheck.integer({ min: 1, max: 4 }),
    slowerThan: FastCheck.constant(20),
    window: extent
  }).map((rule) =>
    "of" in rule.window ? { ...rule, minimumCalls: Math.min(rule.minimumCalls, rule.window.of) } : rule
  )
)

const anyOf = (rule: FastCheck.Arbitrary<Model.Rule>): FastCheck.Arbitrary<Model.Rule> =>
  FastCheck.record({
    rule: FastCheck.constant("any" as const),
    rules: FastCheck.array(rule, { minLength: 1, maxLength: 3 })
  })

const rule = FastCheck.oneof(
  { weight: 4, arbitrary: simpleRule },
  { weight: 1, arbitrary: anyOf(simpleRule) },
  { weight: 1, arbitrary: anyOf(FastCheck.oneof(simpleRule, anyOf(simpleRule))) }
)

const settings: FastCheck.Arbitrary<Model.Settings> = FastCheck.record({
  rule,
  openFor: FastCheck.record({
    kind: FastCheck.constantFrom("constant" as const, "growing" as const, "retryAfter" as const),
    ms: FastCheck.constantFrom(0, 10, 25, 100)
  }),
  halfOpen: FastCheck.record({
    permits: FastCheck.integer({ min: 1, max: 3 }),
    successes: FastCheck.integer({ min: 1, max: 3 }),
    spare: FastCheck.integer({ min: 0, max: 2 }),
    maxWait: FastCheck.constantFrom(0, 5, 15, 60, Infinity)
  }).map(({ maxWait, permits, spare, successes }) => ({ permits, successes, of: successes + spare, maxWait }))
})

// --------------------------------------------------------------------------------------------- random histories

type Command =
  | { readonly do: "wait"; readonly ms: number }
  /** Goes to the next instant at which something is due, or to just before or after it. */
  | { readonly do: "wait until due"; readonly off: number }
  | { readonly do: "acquire" }
  | ({ readonly do: "answer"; readonly pick: number } & Answer)
  | { readonly do: "release"; readonly pick: number }
  /** Several calls one after the other, each answered at once. */
  | ({ readonly do: "calls"; readonly times: number } & Answer)
  | { readonly do: "steer"; readonly to: Circuit.StateName | "reset" }
  /** Reads the circuit and keeps what the reader worked out. */
  | { readonly do: "read" }

interface Answer {
  readonly failed: boolean
  readonly duration: number
  readonly retryAfter: number | undefined
}

const answer = {
  failed: FastCheck.boolean(),
  duration: FastCheck.constantFrom(0, 20, 21),
  retryAfter: FastCheck.constantFrom(undefined, 0, 7, 70)
}
const pick = FastCheck.nat({ max: 7 })
const does = <Name extends Command["do"]>(name: Name) => FastCheck.constant(name)

const command: FastCheck.Arbitrary<Command> = FastCheck.oneof(
  {
    weight: 3,
    arbitrary: FastCheck.record({
      do: does("wait"),
      ms: FastCheck.constantFrom(0, 0.5, 1, 4, 9, 10, 40, 99, 350)
    })
  },
  {
    weight: 5,
    arbitrary: FastCheck.record({ do: does("wait until due"), off: FastCheck.constantFrom(-1, 0, 0, 0, 1) })
  },
  { weight: 6, arbitrary: FastCheck.record({ do: does("acquire") }) },
  { weight: 6, arbitrary: FastCheck.record({ do: does("answer"), pick, ...answer }) },
  { weight: 2, arbitrary: FastCheck.record({ do: does("release"), pick }) },
  {
    weight: 4,
    arbitrary: FastCheck.record({
      do: does("calls"),
      times: FastCheck.integer({ min: 1, max: 4 }),
      ...answer
    })
  },
  {
    weight: 1,
    arbitrary: FastCheck.record({
      do: does("steer"),
      to: FastCheck.constantFrom<Circuit.StateName | "reset">(
        "closed",
        "open",
        "half-open",
        "isolated",
        "disabled",
        "metrics-only",
        "reset"
      )
    })
  },
  { weight: 1, arbitrary: FastCheck.record({ do: does("read") }) }
)

const start = FastCheck.constantFrom(0, 7, 1_700_000_000_003)
const history = FastCheck.array(command, { minLength: 1, maxLength: 32, size: "max" })

// ------------------------------------------------------------------------------------- the circuit and its model

/** A circuit under test that never lets go of what it saw: whatever a step returns is frozen from then on. */
class Bench {
  readonly config: Circuit.Config
  circuit: Circuit.Circuit
  readonly permits = new Map<number, Circuit.Permit>()
  readonly events: Array<Model.Event> = []
  private answered: { events: number; now: number; past: ReadonlyArray<Model.Period> } | undefined

  constructor(
    readonly settings: Model.Settings,
    readonly start: number,
    public now = start
  ) {
    this.config = deepFreeze(Model.toConfig(settings))
    this.circuit = deepFreeze(Circuit.initial(this.config, start))
  }

  run(command: Command): void {
    switch (command.do) {
      case "wait":
        this.now += command.ms
        return
      case "wait until due":
        this.now = Math.max(this.now, this.nextDue() + command.off)
        return
      case "acquire":
        this.acquire()
        return
      case "answer":
        return this.answer(this.outstanding(command.pick), command)
      case "release": {
        const call = this.outstanding(command.pick)
        if (call === undefined) return
        this.circuit = release(this.config, this.circuit, this.take(call), this.now)
        this.events.push({ at: this.now, what: "release", call })
        return
      }
      case "calls":
        for (let n = 0; n < command.times; n++) this.answer(this.acquire(), command)
        return
      case "steer": {
        const { to } = command
        this.step(
          to === "reset"
            ? Circuit.reset(this.config, this.circuit, this.now)
            : Circuit.steer(this.config, this.circuit, to, this.now),
          {
            at: this.now,
            what: "steer",
            to
          }
        )
        return
      }
      case "read":
        return this.step(Circuit.settle(this.config, this.circuit, this.now))
    }
  }

  private acquire(): number | undefined {
    const admission = Circuit.acquire(this.config, this.circuit, this.now)
    this.step(admission, { at: this.now, what: "acquire" })
    if (admission.permit === undefined) return undefined
    this.permits.set(this.events.length - 1, admission.permit)
    return this.events.length - 1
  }

  private answer(call: number | undefined, { duration, failed, retryAfter }: Answer): void {
    if (call === undefined) return
    const result = { failed, duration, failure: failed ? "down" : undefined, retryAfter }
    const permit = this.take(call)
    const recorded = Circuit.record(this.config, this.circuit, permit, result, this.now)
    this.countInPlace(permit, result, recorded)
    this.step(recorded, { at: this.now, what: "record", call, result })
    const counted = this.model().some((period) =>
      period.counted.some(({ event }) => event === this.events.length - 1)
    )
    if (counted !== recorded.counted) assert.strictEqual(recorded.counted, counted, "counted")
  }

  /** What the owner of a circuit counts in place is what a step of it counts. */
  private countInPlace(permit: Circuit.Permit, result: Circuit.Result, recorded: Circuit.Step): void {
    const { circuit, config, now } = this
    if (circuit.state !== "closed" || circuit.generation !== permit.generation) return
    const own = { ...circuit, counts: { ...circuit.counts }, seen: Trip.copyOf(circuit.seen) }
    if (Circuit.countInPlace(own, result.failed, result.duration, now)) {
      assert.deepStrictEqual(Circuit.open(config, own, result, now).circuit, recorded.circuit)
    } else assert.deepStrictEqual<Circuit.Circuit>(own, recorded.circuit)
  }

  private outstanding(pick: number): number | undefined {
    const calls = Array.from(this.permits.keys())
    return calls[pick % Math.max(1, calls.length)]
  }

  private take(call: number): Circuit.Permit {
    const permit = this.permits.get(call)!
    this.permits.delete(call)
    return permit
  }

  private step({ circuit, transitions }: Circuit.Step, event?: Model.Event): void {
    const left = this.circuit
    this.circuit = deepFreeze(circuit)
    if (event !== undefined) this.events.push(event)
    const past = this.model()
    // A step may leave what it made due itself (an opening of no length) to the next one.
    const all = [...transitions, ...Circuit.settle(this.config, circuit, this.now).transitions]
    const seen = all.map(({ from, reason, to }) => [
      from.generation,
      from.state,
      from.counts,
      to.generation,
      to.state,
      to.since,
      reason
    ])
    const expected = Array.from({ length: past.length - 1 - left.generation }, (_, index) => {
      const generation = left.generation + index
      const [from, to] = [past[generation], past[generation + 1]]
      return [
        generation,
        from.state,
        Model.countsOf(this.settings.rule, from.state, from.counted),
        generation + 1,
        to.state,
        to.since,
        to.reason
      ]
    })
    same(seen, expected)
  }

  /** The next instant at which something is due, and the one at which a closed circuit has recovered. */
  private nextDue(): number {
    const { circuit } = Circuit.settle(this.config, this.circuit, this.now)
    if (circuit.state === "open") return circuit.until
    if (circuit.state === "closed") return circuit.since + circuit.openedFor
    const [probe] = circuit.state === "half-open" ? circuit.probes : []
    return probe === undefined || this.config.halfOpen.maxWait === Infinity
      ? this.now
      : probe.startedAt + this.config.halfOpen.maxWait
  }

  /** What the model says now. The same question is not worked out twice. */
  private model(): ReadonlyArray<Model.Period> {
    const { events, now } = this
    if (this.answered?.events !== events.length || this.answered.now !== now) {
      this.answered = {
        events: events.length,
        now,
        past: Model.periods(this.settings, this.start, events, now)
      }
    }
    return this.answered.past
  }

  check(): void {
    same(viewOf(this.config, this.circuit, this.now), Model.viewOf(this.settings, this.model(), this.now))
  }
}

const release = (config: Circuit.Config, circuit: Circuit.Circuit, permit: Circuit.Permit, now: number) =>
  Circuit.release(config, circuit, permit, now).circuit

const viewOf = (config: Circuit.Config, before: Circuit.Circuit, now: number): Model.View => {
  const { circuit } = Circuit.settle(config, before, now)
  return {
    state: circuit.state,
    generation: circuit.generation,
    since: circuit.since,
    counts: circuit.counts,
    failuresInARow: circuit.failuresInARow,
    openedFor: circuit.openedFor,
    admits: Circuit.acquire(config, before, now).permit !== undefined,
    retryAfter: Circuit.retryAfter(circuit, now),
    readings: "seen" in circuit ? Trip.readings(circuit.seen, now) : []
  }
}

/** Chai compares thoroughly and slowly: it is asked only when there is a difference to show. */
const same = <A>(actual: A, expected: A): void => {
  if (!isDeepStrictEqual(actual, expected)) assert.deepStrictEqual(actual, expected)
}

const deepFreeze = <A>(value: A): A => {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    Object.values(value).forEach(deepFreeze)
  }
  return value
}

describe("a circuit and its model", () => {
  it("agree on every history", () => {
    FastCheck.assert(
      FastCheck.property(settings, start, history, (settings, start, history) => {
        const bench = new Bench(settings, start)
        for (const command of history) {
          bench.run(command)
          bench.check()
        }
      }),
      { numRuns: runs(120, 10_000) }
    )
  })
})

// ---------------------------------------------------------------------------------------------------- named histories

const probing = { permits: 1, successes: 1, of: 1, maxWait: Infinity }

/** A circuit that opens at the second failure in a row, for 100 ms, and asks one probe. */
const configOf = (config: Partial<Circuit.Config> = {}): Circuit.Config => ({
  trip: Trip.consecutive(2),
  openFor: () => 100,
  halfOpen: probing,
  ...config
})

/** One circuit and its clock, for histories that are told step by step. */
class Story {
  circuit: Circuit.Circuit
  constructor(
    readonly config: Circuit.Config = configOf(),
    public now = 0
  ) {
    this.circuit = Circuit.initial(config, now)
  }

  wait(ms: number): this {
    this.now += ms
    return this
  }

  acquire(): Circuit.Permit | undefined {
    const { circuit, permit } = Circuit.acquire(this.config, this.circuit, this.now)
    this.circuit = circuit
    return permit
  }

  /** A call that must be let in. */
  admitted(): Circuit.Permit {
    const permit = this.acquire()
    assert.isDefined(permit, "the call must be let in")
    return permit
  }

  /** Brings a result back, and says whether it was counted. */
  record(
    permit: Circuit.Permit,
    outcome: "success" | "failure",
    more: Partial<Circuit.Result> = {}
  ): boolean {
    const result = {
      failed: outcome === "failure",
      duration: 0,
      failure: undefined,
      retryAfter: undefined,
      ...more
    }
    const { circuit, counted } = Circuit.record(this.config, this.circuit, permit, result, this.now)
    this.circuit = circuit
    return counted
  }

  release(permit: Circuit.Permit): this {
    this.circuit = release(this.config, this.circuit, permit, this.now)
    return this
  }

  /** Calls that are answered at once: `s` succeeds, `f` fails. */
  calls(outcomes: string): this {
    for (const outcome of outcomes) this.record(this.admitted(), outcome === "s" ? "success" : "failure")
    return this
  }

  steer(to: Circuit.StateName): this {
    this.circuit = Circuit.steer(this.config, this.circuit, to, this.now).circuit
    return this
  }

  reset(): this {
    this.circuit = Circuit.reset(this.config, this.circuit, this.now).circuit
    return this
  }

  /** The circuit as a reader finds it now. Reading changes nothing. */
  get read(): Circuit.Circuit {
    return Circuit.settle(this.config, this.circuit, this.now).circuit
  }

  get state(): Circuit.StateName {
    return this.read.state
  }
}

/** A circuit that is half-open from 100 on. */
const halfOpen = (
  halfOpen: Partial<Circuit.Config["halfOpen"]> = {},
  config: Partial<Circuit.Config> = {}
): Story => new Story(configOf({ halfOpen: { ...probing, ...halfOpen }, ...config })).calls("ff").wait(100)

describe("a closed circuit", () => {
  it("is how it begins, in generation 0 and with nothing seen", () => {
    const { read } = new Story(configOf(), 50)
    assert.deepInclude(read, {
      state: "closed",
      generation: 0,
      since: 50,
      counts: { successes: 0, failures: 0 },
      failuresInARow: 0
    })
  })

  it("lets every call in, however many are under way, and counts their results", () => {
    const story = new Story()
    const permits = Array.from({ length: 100 }, () => story.admitted())
    permits.forEach((permit, n) => assert.isTrue(story.record(permit, n % 2 === 0 ? "success" : "failure")))
    assert.deepStrictEqual(story.read.counts, { successes: 50, failures: 50 })
    assert.strictEqual(story.state, "closed")
  })

  it("opens with the result that meets its rule, which may be a success", () => {
    const trip = Trip.failureRate({ threshold: 0.5, window: { of: 2 }, minimumCalls: undefined })
    const story = new Story(configOf({ trip })).calls("f")
    assert.strictEqual(story.state, "closed")
    assert.strictEqual(story.calls("s").state, "open")
  })

  it("does not open because time passes", () => {
    const trip = Trip.failures(2, { within: 100 })
    assert.strictEqual(new Story(configOf({ trip })).calls("f").wait(100).calls("f").state, "closed")
    assert.strictEqual(new Story(configOf({ trip })).calls("f").wait(99).calls("f").state, "open")
  })

  it("asks how long to stay open, and says what failed", () => {
    const openings: Array<Circuit.Opening> = []
    const openFor = (opening: Circuit.Opening) => {
      openings.push(opening)
      return 40
    }
    const story = new Story(configOf({ openFor })).calls("f")
    story.record(story.admitted(), "failure", { failure: "down", retryAfter: 7 })
    assert.deepStrictEqual(openings, [{ reopenings: 0, failure: "down", retryAfter: 7 }])
    assert.deepInclude(story.read, { state: "open", until: 40, openedFor: 40 })
  })

  it("keeps why a substitute stood in for the time that it stays open", () => {
    const circuit = new Story(configOf({ openFor: () => ({ millis: 40, problem: "defect" }) })).calls(
      "ff"
    ).read
    assert.deepInclude(circuit, { state: "open", until: 40, openedFor: 40, problem: "defect" })
    assert.notProperty(new Story().calls("ff").read, "problem")
  })

  it("opens because of a call that its owner has counted in place as it does step by step", () => {
    const config = configOf()
    const { circuit } = new Story(config).calls("f")
    if (circuit.state !== "closed") return assert.fail(circuit.state)
    const result = { failed: true, duration: 0, failure: "down", retryAfter: 7 }
    const permit = { generation: 0, probe: undefined, startedAt: 0 }
    const expected = Circuit.record(config, circuit, permit, result, 30)
    assert.isTrue(Circuit.countInPlace(circuit, true, 0, 30))
    const { transitions } = Circuit.open(config, circuit, result, 30)
    assert.deepStrictEqual(transitions, expected.transitions)
  })

  it("has evidence once something speaks for opening, and a circuit in another state has none", () => {
    const hasEvidence = ({ now, read }: Story) => Circuit.hasEvidence(read, now)
    assert.isFalse(hasEvidence(new Story().calls("s")))
    assert.isTrue(hasEvidence(new Story().calls("f")))
    assert.isFalse(hasEvidence(new Story().calls("ff")))
    assert.isFalse(hasEvidence(new Story().steer("metrics-only").calls("f")))
  })
})

describe("a circuit under other settings", () => {
  const failures = (count: number) => configOf({ trip: Trip.failures(count, { of: 5 }) })

  it.each(["closed", "metrics-only"] as const)("keeps what it has seen: %s", (state) => {
    const { circuit } = new Story(failures(3)).steer(state).calls("ff")
    const configured = Circuit.configure(failures(4), circuit, 0)
    const expected = new Story(failures(4)).steer(state).calls("ff").circuit
    assert.deepStrictEqual(configured, expected)
  })

  it("stays as it is in every other state", () => {
    for (const state of ["open", "half-open", "isolated", "disabled"] as const) {
      const { circuit } = new Story().steer(state)
      assert.strictEqual(Circuit.configure(failures(4), circuit, 0), circuit)
    }
  })
})

describe("a permit", () => {
  it.each([
    { state: "closed", holds: true },
    { state: "metrics-only", holds: true },
    { state: "half-open", holds: true },
    { state: "disabled", holds: false }
  ] as const)("of a circuit that is $state is waited for: $holds", ({ holds, state }) => {
    const story = new Story().steer(state)
    const permit = story.admitted()
    assert.strictEqual(Circuit.holds(story.circuit, permit), holds)
    assert.isFalse(Circuit.holds(story.circuit, { ...permit, generation: permit.generation - 1 }))
    const released = story.release(permit).circuit
    assert.strictEqual(Circuit.holds(released, permit), holds && state !== "half-open")
  })
})

describe("an open circuit", () => {
  it.each([
    { after: 0, state: "open", retryAfter: 100 },
    { after: 99, state: "open", retryAfter: 1 },
    { after: 99.5, state: "open", retryAfter: 0.5 },
    { after: 100, state: "half-open", retryAfter: undefined },
    { after: 5000, state: "half-open", retryAfter: undefined }
  ])("is $state after $after ms, to be asked again in $retryAfter ms", ({ after, retryAfter, state }) => {
    const story = new Story().calls("ff").wait(after)
    assert.strictEqual(story.state, state)
    assert.strictEqual(Circuit.retryAfter(story.read, story.now), retryAfter)
    assert.strictEqual(story.acquire() === undefined, state === "open")
  })

  it("became half-open when it was due, however late somebody looks", () => {
    assert.deepInclude(new Story().calls("ff").wait(777).read, {
      state: "half-open",
      since: 100,
      generation: 2
    })
  })

  it("that opens for no time at all is half-open at once", () => {
    assert.strictEqual(new Story(configOf({ openFor: () => 0 })).calls("ff").state, "half-open")
  })

  it("that opens for ever stays open", () => {
    assert.strictEqual(new Story(configOf({ openFor: () => Infinity })).calls("ff").wait(1e12).state, "open")
  })
})

describe("a half-open circuit", () => {
  it.each([1, 2, 3, 10])("lets exactly %i probes in at a time", (permits) => {
    const story = halfOpen({ permits, successes: 20, of: 20 })
    const probes = Array.from({ length: permits }, () => story.admitted())
    assert.deepStrictEqual(
      probes.map(({ probe }) => probe),
      Array.from(probes, (_, number) => number)
    )
    assert.isUndefined(story.acquire())
    story.record(probes[0], "success")
    probes.push(story.admitted())
    assert.isUndefined(story.acquire())
    story.release(probes.at(-1)!)
    story.admitted()
    assert.isUndefined(story.acquire())
  })

  it.each<[successes: number, of: number, outcomes: string, state: Circuit.StateName]>([
    [1, 1, "s", "closed"],
    [1, 1, "f", "open"],
    [1, 3, "ff", "half-open"],
    [1, 3, "ffs", "closed"],
    [1, 3, "fff", "open"],
    [2, 3, "s", "half-open"],
    [2, 3, "ss", "closed"],
    [2, 3, "fss", "closed"],
    [2, 3, "sf", "half-open"],
    [2, 3, "ff", "open"],
    [2, 3, "sff", "open"],
    [3, 3, "ss", "half-open"],
    [3, 3, "ssf", "open"]
  ])("that needs %i of %i is, after %s, %s", (successes, of, outcomes, state) => {
    assert.strictEqual(halfOpen({ successes, of }).calls(outcomes).state, state)
  })

  it.each<[duration: number, state: Circuit.StateName]>([
    [50, "closed"],
    [51, "open"]
  ])("whose probe succeeds after %i of the 50 ms that are slow is %s", (duration, state) => {
    const slow = Trip.slowRate({
      slowerThan: 50,
      threshold: 1,
      minimumCalls: undefined,
      window: { of: 2 }
    })
    const story = halfOpen({}, { trip: Trip.any([Trip.consecutive(2), slow]) })
    story.record(story.admitted(), "success", { duration })
    assert.strictEqual(story.state, state)
  })

  it("that closes starts with an empty window", () => {
    const story = halfOpen().calls("s")
    assert.deepInclude(story.read, { state: "closed", counts: { successes: 0, failures: 0 }, since: 100 })
    assert.strictEqual(story.calls("f").state, "closed")
    assert.strictEqual(story.calls("f").state, "open")
  })
})

describe("a probe that does not answer", () => {
  it.each([
    { after: 29, counted: true, state: "closed" },
    { after: 30, counted: false, state: "open" },
    { after: 31, counted: false, state: "open" }
  ])("within 30 ms but succeeds after $after leaves the circuit $state", ({ after, counted, state }) => {
    const story = halfOpen({ maxWait: 30 })
    const probe = story.admitted()
    assert.strictEqual(story.wait(after).record(probe, "success"), counted)
    assert.strictEqual(story.state, state)
  })

  it("reopens the circuit as of the instant at which it was given up on, without a cause", () => {
    const openings: Array<Circuit.Opening> = []
    const openFor = (opening: Circuit.Opening) => {
      openings.push(opening)
      return 100
    }
    const story = halfOpen({ maxWait: 30 }, { openFor })
    story.wait(5).admitted()
    assert.deepInclude(story.wait(50).read, { state: "open", since: 135, until: 235 })
    assert.deepStrictEqual(openings.at(-1), { reopenings: 1, failure: undefined, retryAfter: undefined })
  })

  it("is followed by whatever else was due by now, in order", () => {
    const story = halfOpen({ permits: 3, successes: 2, of: 3, maxWait: 30 })
    story.admitted()
    story.wait(4).admitted()
    story.wait(4).admitted()
    const { circuit, transitions } = Circuit.settle(story.config, story.circuit, 10_000)
    assert.deepStrictEqual(
      transitions.map(({ from, to }) => [
        from.state,
        from.counts.failures,
        to.state,
        to.since,
        to.generation
      ]),
      [
        ["half-open", 2, "open", 134, 3],
        ["open", 0, "half-open", 234, 4]
      ]
    )
    // The third probe belonged to the half-open circuit before, and holds no place in this one.
    assert.deepInclude(circuit, { state: "half-open", counts: { successes: 0, failures: 0 }, probes: [] })
  })

  it("gives its place back when the circuit goes on without it", () => {
    const story = halfOpen({ successes: 1, of: 2, maxWait: 30 })
    story.admitted()
    assert.isUndefined(story.wait(29).acquire())
    story.wait(1).admitted()
    assert.deepStrictEqual(story.read.counts, { successes: 0, failures: 1 })
  })

  it("and answers late counts for nothing and frees no place, even when the circuit is still half-open", () => {
    const story = halfOpen({ successes: 1, of: 3, maxWait: 30 })
    const late = story.admitted()
    story.wait(30).admitted()
    assert.isFalse(story.record(late, "success"))
    assert.deepStrictEqual(story.read.counts, { successes: 0, failures: 1 })
    assert.isUndefined(story.acquire())
  })

  it("may take for ever when maxWait is infinite", () => {
    const story = halfOpen()
    const probe = story.admitted()
    assert.isUndefined(story.wait(1e12).acquire())
    assert.isTrue(story.record(probe, "success"))
    assert.strictEqual(story.state, "closed")
  })

  it("has failed even if it is interrupted later, whether or not somebody looked in between", () => {
    const [looked, unseen] = [true, false].map((looks) => {
      const story = halfOpen({ maxWait: 30 })
      const probe = story.admitted()
      story.wait(50)
      if (looks) story.circuit = story.read
      return story.release(probe).read
    })
    assert.deepInclude(looked, { state: "open", since: 130 })
    assert.deepStrictEqual(unseen, looked)
  })
})

describe("a released permit", () => {
  it("decides nothing and counts for nothing", () => {
    const closed = new Story().calls("f")
    assert.deepStrictEqual(closed.release(closed.admitted()).read, new Story().calls("f").read)
    const probing = halfOpen({ maxWait: 30 })
    const { counts, failuresInARow, generation, state } = probing.release(probing.admitted()).read
    assert.deepStrictEqual(
      { counts, failuresInARow, generation, state },
      { counts: { successes: 0, failures: 0 }, failuresInARow: 2, generation: 2, state: "half-open" }
    )
    assert.strictEqual(probing.wait(1000).state, "half-open")
  })
})

describe("a permit of an earlier generation", () => {
  it("does not close a reopened circuit with a late success", () => {
    const story = halfOpen({ permits: 2, successes: 1, of: 1 })
    const slow = story.admitted()
    story.calls("f")
    assert.strictEqual(story.state, "open")
    assert.isFalse(story.record(slow, "success"))
    assert.strictEqual(story.state, "open")
    assert.isFalse(story.wait(100).record(slow, "success"))
    assert.strictEqual(story.state, "half-open")
  })

  it("does not reopen a recovered circuit with a late failure", () => {
    const story = new Story(configOf({ trip: Trip.consecutive(1) }))
    const slow = story.admitted()
    story.calls("f").wait(100).calls("s")
    assert.isFalse(story.record(slow, "failure"))
    assert.strictEqual(story.state, "closed")
    assert.deepInclude(story.read, { counts: { successes: 0, failures: 0 }, failuresInARow: 0 })
  })

  it("does not count a call from before the opening as a probe", () => {
    const story = new Story()
    const slow = story.admitted()
    story.calls("ff").wait(100)
    assert.isFalse(story.record(slow, "success"))
    assert.strictEqual(story.state, "half-open")
  })

  it.each(["record", "release"] as const)(
    "frees no place when it is a probe of an earlier half-open circuit: %s",
    (how) => {
      const story = halfOpen()
      const old = story.admitted()
      story.steer("half-open")
      const present = story.admitted()
      assert.strictEqual(old.probe, present.probe, "the two must only differ in their generation")
      if (how === "record") assert.isFalse(story.record(old, "success"))
      else story.release(old)
      assert.strictEqual(story.state, "half-open")
      assert.isUndefined(story.acquire())
      assert.isTrue(story.record(present, "success"))
      assert.strictEqual(story.state, "closed")
    }
  )
})

describe("steering a circuit", () => {
  const states = ["closed", "open", "half-open", "isolated", "disabled", "metrics-only"] as const

  it.each(states.flatMap((from) => states.map((to) => ({ from, to }))))(
    "from $from to $to changes its state",
    ({ from, to }) => {
      const story = new Story().calls("f").steer(from)
      const permit = story.acquire()
      if (permit !== undefined) story.record(permit, "failure")
      const { failuresInARow } = story.read
      const { transitions } = Circuit.steer(story.config, story.circuit, to, 5)
      assert.deepStrictEqual(
        transitions.map((transition) => [transition.from.state, transition.to.state]),
        [...(story.state === from ? [] : [[story.state, from]]), [story.state, to]].slice(-1)
      )
      assert.deepInclude(transitions[0].to, {
        generation: story.read.generation + 1,
        since: 5,
        counts: { successes: 0, failures: 0 },
        failuresInARow
      })
    }
  )

  it("applies first what was due before", () => {
    const story = new Story().calls("ff")
    const { transitions } = Circuit.steer(story.config, story.circuit, "isolated", 500)
    assert.deepStrictEqual(
      transitions.map(({ to }) => [to.state, to.since, to.generation]),
      [
        ["half-open", 100, 2],
        ["isolated", 500, 3]
      ]
    )
  })

  it.each<[state: Circuit.StateName, admits: boolean, counts: boolean]>([
    ["isolated", false, false],
    ["disabled", true, false],
    ["metrics-only", true, true]
  ])("to %s lasts until it is steered again: admits %s, counts %s", (state, admits, counts) => {
    const story = new Story(configOf({ trip: Trip.failures(2, { of: 10 }) })).steer(state)
    for (let n = 0; n < 5; n++) {
      const permit = story.acquire()
      assert.strictEqual(permit !== undefined, admits)
      if (permit !== undefined) assert.strictEqual(story.record(permit, "failure"), counts)
    }
    assert.deepInclude(story.wait(1e12).read, {
      state,
      generation: 1,
      counts: { successes: 0, failures: counts ? 5 : 0 },
      failuresInARow: counts ? 5 : 0
    })
    const readings = "seen" in story.read ? Trip.readings(story.read.seen, story.now) : []
    assert.deepStrictEqual(
      readings.map(({ hits, met }) => ({ hits, met })),
      counts ? [{ hits: 5, met: true }] : []
    )
    assert.strictEqual(story.steer("closed").calls("s").state, "closed")
  })

  it("by reset forgets everything except the generation", () => {
    const story = new Story().calls("ff").wait(100).calls("f").wait(50).reset()
    assert.deepStrictEqual(story.circuit, { ...Circuit.initial(story.config, 150), generation: 4 })
  })
})

describe("failures in a row", () => {
  it("are counted over all states and ended by a success", () => {
    const story = new Story()
    const row = () => story.read.failuresInARow
    const seen = [
      story.calls("sff") && row(),
      story.wait(100).calls("f") && row(),
      story.steer("metrics-only").calls("ff") && row(),
      story.steer("isolated") && row(),
      story.steer("half-open").calls("f") && row(),
      story.steer("metrics-only").calls("s") && row(),
      story.calls("f") && row(),
      story.reset() && row()
    ]
    assert.deepStrictEqual(seen, [2, 3, 5, 5, 6, 0, 1, 0])
  })

  it("go on with a probe that never answered", () => {
    const story = halfOpen({ maxWait: 30 })
    story.admitted()
    assert.strictEqual(story.wait(30).read.failuresInARow, 3)
  })
})

describe("the number of reopenings", () => {
  // The open periods take 100 ms, then 200, then 300: `openedFor` tells how many openings came before.
  const growing = () => new Story(configOf({ openFor: ({ reopenings }) => 100 * (reopenings + 1) }))
  const recovering = () => growing().calls("ff").wait(100).calls("f").wait(200).calls("s")

  it.each<[what: string, story: () => Story, openedFor: number]>([
    ["the first opening", () => growing().calls("ff"), 100],
    ["a probe that failed", () => growing().calls("ff").wait(100).calls("f"), 200],
    ["two probes that failed", () => growing().calls("ff").wait(100).calls("f").wait(200).calls("f"), 300],
    ["closed for less than it had been open", () => recovering().wait(199).calls("ff"), 300],
    ["closed for as long as it had been open", () => recovering().wait(200).calls("ff"), 100],
    ["opened by hand", () => growing().steer("open").steer("open"), 200],
    ["opened by hand after a short recovery", () => recovering().wait(199).steer("open"), 300],
    ["opened by hand after it recovered", () => recovering().wait(200).steer("open"), 100],
    ["a long isolation", () => recovering().wait(199).steer("isolated").wait(1e6).steer("open"), 300],
    ["recovered, then isolated", () => recovering().wait(200).steer("isolated").steer("open"), 100],
    ["recovered, then probed by hand", () => recovering().wait(200).steer("half-open").calls("f"), 100],
    ["recovered, then closed by hand", () => recovering().wait(200).steer("closed").calls("ff"), 100],
    ["recovered, then counted only", () => recovering().wait(200).steer("metrics-only").steer("open"), 100],
    ["reset", () => recovering().reset().calls("ff"), 100]
  ])("is known after %s", (_, story, openedFor) => {
    assert.deepInclude(story().read, { state: "open", openedFor })
  })
})

// ------------------------------------------------------------------------------------------------ surviving a restart

const throughJson = <A>(value: A): A => JSON.parse(JSON.stringify(value)) as A

const recall = ({ circuit, config, now }: Story, elapsed: number, clock = now + elapsed): Story => {
  const memory = throughJson(Circuit.remember(config, circuit, now))
  const story = new Story(config, clock)
  story.circuit = Circuit.recall(config, memory, clock, elapsed)
  return story
}

describe("a circuit that is recalled", () => {
  it("has a memory of calls only in a state that counts them", () => {
    const seenIn = (story: Story) => Circuit.remember(story.config, story.circuit, story.now).seen
    assert.deepStrictEqual(seenIn(new Story().calls("f")), [{ rule: "consecutive(2)", run: 1 }])
    assert.deepStrictEqual(seenIn(new Story().calls("ff")), [])
  })

  // A multiple of the width of every bucket that the random rules use, so that the other clock's buckets lie alike.
  const clocks = FastCheck.constantFrom(0, 133_200, -133_200_000)
  const elapsed = FastCheck.constantFrom(0, 1, 9.5, 10, 25, 99, 100, 101, 400, 1e6)

  it("behaves like the one it was, left alone for as long, but for the probes under way", () => {
    FastCheck.assert(
      FastCheck.property(
        settings,
        start,
        history,
        elapsed,
        clocks,
        (settings, start, history, elapsed, shift) => {
          const bench = new Bench(settings, start)
          for (const command of history) bench.run(command)
          const { config, now } = bench
          const original = new Story(config, now)
          original.circuit = bench.circuit
          const other = recall(original, elapsed, now + elapsed + shift)
          const { read } = original
          original.circuit = read.state === "half-open" ? { ...read, probes: [] } : read
          original.wait(elapsed)
          const compare = () => {
            const { since, ...view } = viewOf(config, other.circuit, other.now)
            same({ ...view, since: since - shift }, viewOf(config, original.circuit, original.now))
          }
          compare()
          for (const step of ["f", "s", "f", 10, "f", "f", 100, "f", "s", 30, "f", "f"]) {
            for (const story of [original, other]) {
              if (typeof step === "number") story.wait(step)
              else if (viewOf(config, story.circuit, story.now).admits) story.calls(step)
            }
            compare()
          }
        }
      ),
      { numRuns: runs(80, 5000) }
    )
  })

  it.each<[story: string, build: () => Story]>([
    ["closed", () => new Story().calls("sf").wait(5)],
    ["open", () => new Story().calls("ff").wait(30)],
    ["due to be half-open", () => new Story().calls("ff").wait(130)],
    ["half-open", () => halfOpen({ successes: 2, of: 3 }).calls("s")],
    ["isolated", () => new Story().calls("f").steer("isolated").wait(9)],
    ["disabled", () => new Story().calls("f").steer("disabled").wait(9)],
    ["metrics-only", () => new Story().steer("metrics-only").calls("fff").wait(9)]
  ])("at once is the same again: %s", (_, build) => {
    const story = build()
    assert.deepStrictEqual(recall(story, 0).read, {
      ...story.read,
      ...("probes" in story.read && { nextProbe: 0 })
    })
  })

  it("stays open for what was left", () => {
    const story = recall(new Story().calls("ff").wait(30), 50, 7000)
    assert.strictEqual(Circuit.retryAfter(story.read, story.now), 20)
    assert.deepInclude(story.wait(25).read, { state: "half-open", since: 7020 })
  })

  it("stays open for ever when it was", () => {
    assert.strictEqual(recall(new Story(configOf({ openFor: () => Infinity })).calls("ff"), 50).state, "open")
  })

  it("drops the probes under way, so that their places are free", () => {
    const story = halfOpen({ maxWait: 30 })
    story.admitted()
    const again = recall(story, 10)
    assert.deepInclude(again.read, { state: "half-open", generation: 2, probes: [] })
    assert.strictEqual(again.wait(1000).state, "half-open")
    assert.strictEqual(again.calls("s").state, "closed")
  })

  it("starts with nothing where the rule was changed in between, and keeps the rest", () => {
    const memory = throughJson(Circuit.remember(configOf(), new Story().calls("f").circuit, 0))
    const trip = Trip.any([Trip.consecutive(2), Trip.failures(2, { of: 10 })])
    const circuit = Circuit.recall(configOf({ trip }), memory, 0, 0)
    assert.deepInclude(circuit, { state: "closed", counts: { successes: 0, failures: 1 }, failuresInARow: 1 })
    assert.deepStrictEqual(
      "seen" in circuit ? Trip.readings(circuit.seen, 0).map(({ hits }) => hits) : [],
      [1, 0]
    )
  })
})

describe("a circuit in a fleet", () => {
  const config: Circuit.Config = {
    trip: Trip.consecutive(1),
    openFor: () => 100,
    halfOpen: { permits: 1, successes: 2, of: 3, maxWait: 50 }
  }
  const inState = (state: Circuit.StateName) =>
    Circuit.steer(config, Circuit.initial(config, 0), state, 0).circuit
  const states = ["closed", "open", "half-open", "isolated", "disabled", "metrics-only"] as const
  const table = states.flatMap((from) => states.map((to) => [from, to] as const))

  it.each(table)("that is %s follows to %s", (from, to) => {
    const remaining = to === "open" ? 70 : 0
    const { circuit, transitions } = Circuit.follow(config, inState(from), { state: to, remaining }, 10)
    assert.strictEqual(circuit.state, to)
    if (circuit.state === "open") assert.strictEqual(circuit.until, 80)
    // Probes of a fleet's half-open period are those of that period alone.
    assert.lengthOf(transitions, from === to && to !== "half-open" ? 0 : 1)
  })

  it("is half-open where the time of an open one is over", () => {
    const { circuit } = Circuit.follow(config, inState("closed"), { state: "open", remaining: 0 }, 10)
    assert.strictEqual(circuit.state, "half-open")
  })

  it("counts an opening that it follows, and how long it lasts", () => {
    const { circuit } = Circuit.follow(config, inState("closed"), { state: "open", remaining: 70 }, 10)
    assert.deepInclude(circuit, { reopenings: 1, openedFor: 70, since: 10 })
    assert.strictEqual(Circuit.settle(config, circuit, 80).circuit.state, "half-open")
  })

  it.each([
    [{ successes: 1, failures: 1 }, "half-open"],
    [{ successes: 2, failures: 1 }, "closed"],
    [{ successes: 1, failures: 2 }, "open"]
  ])("decides by the probes of all: %j", (counts, state) => {
    const { circuit } = Circuit.probed(config, inState("half-open"), counts, 10)
    assert.strictEqual(circuit.state, state)
    if (state === "half-open") assert.deepStrictEqual(circuit.counts, counts)
  })

  it.each(["closed", "open", "isolated"] as const)("that is %s has no probes to decide", (state) => {
    const before = inState(state)
    assert.strictEqual(Circuit.probed(config, before, { successes: 9, failures: 9 }, 10).circuit, before)
  })

  it("opens because of the calls of others for as long as its own settings say", () => {
    const seen = Trip.nothing(config.trip, 0)
    Trip.countMany(seen, { successes: 0, failures: 9, slow: 0 }, 10)
    const { circuit, transitions } = Circuit.openBecause(config, inState("closed"), seen, 10)
    assert.deepInclude(circuit, { state: "open", until: 110, reopenings: 1 })
    assert.deepInclude(transitions[0], { reason: "fleet", met: Trip.readings(seen, 10)[0] })
  })

  it("counts without opening where that is decided elsewhere", () => {
    const closed = Circuit.initial(config, 0)
    const permit = { generation: 0, probe: undefined, startedAt: 0 }
    const failed = { failed: true, duration: 0, failure: undefined, retryAfter: undefined }
    const step = Circuit.record(config, closed, permit, failed, 5, false)
    assert.isTrue(step.counted)
    assert.deepInclude(step.circuit, { state: "closed", counts: { successes: 0, failures: 1 } })
  })
})
