/** Reads the state of each policy, and judges it by rules. */
import type * as CircuitBreaker from "../circuitBreaker/CircuitBreaker.js"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { states as circuitStates } from "../core/circuit.js"
import { among, InvalidOption, isList, object, oneOf, type Shape, text, whereRead } from "../core/options.js"
import { quoted } from "../internal/quoted.js"
import { wallMillis } from "../internal/time.js"
import { timeInWords } from "../internal/words.js"
import { harmless } from "../policy/harmless.js"
import * as Stateful from "../policy/stateful.js"
import * as Explain from "./Explain.js"
import type * as Health from "./Health.js"
import * as Registry from "./Registry.js"
import * as Store from "./store.js"

// ------------------------------------------------------------------------------------------------------------ defaults

type StatesOf = { readonly [K in Health.Kind]: ReadonlyArray<Health.States[K]> }

const states: StatesOf = {
  "circuit-breaker": circuitStates,
  bulkhead: ["available", "full"],
  "rate-limiter": ["available", "exhausted"],
  "retry-budget": ["available", "exhausted"],
  cache: ["empty", "filled"],
  "shared-store": ["connected", "degraded"]
}

/** The states that degrade a program. */
const degrading: { readonly [K in Health.Kind]: ReadonlyArray<Health.States[Health.Kind]> } = {
  "circuit-breaker": ["open", "half-open", "isolated"] satisfies ReadonlyArray<CircuitBreaker.State>,
  bulkhead: ["full"],
  "rate-limiter": [],
  "retry-budget": ["exhausted"],
  cache: [],
  "shared-store": ["degraded"]
}

const kinds = Object.keys(states) as ReadonlyArray<Health.Kind>
const statuses = ["up", "degraded", "down"] as const

// --------------------------------------------------------------------------------------------------------------- rules

/** The verdict of a rule on a policy, if it applies to it. */
type Judge = (policy: Health.Judged) => Health.Status | undefined

const byDefault: (policy: Health.Judged) => Health.Status = ({ kind, state }) =>
  degrading[kind].includes(state) ? "degraded" : "up"

const ruleShape: Shape<Health.Rule> = {
  kind: among(...kinds),
  name: (policy, option, value) => {
    if (!(value instanceof RegExp)) text(policy, option, value)
  },
  state: whereRead,
  health: whereRead
}

/** The judge of a list of rules: the first that fits. */
const listed = (policy: string, rules: ReadonlyArray<Health.Rule>): Judge => {
  const judges = rules.map((rule, index) => ruled(policy, `rules[${index}]`, rule))
  return (judged) => {
    for (const judge of judges) {
      const health = judge(judged)
      if (health !== undefined) return health
    }
    return undefined
  }
}

const ruled = (policy: string, path: string, rule: Health.Rule): Judge => {
  object(policy, path, rule, ruleShape)
  const { health, kind, name, state } = rule
  // A shape does not check an option that is missing.
  oneOf<unknown>(policy, `${path}.health`, health, ...statuses)
  const possible =
    kind === undefined ? kinds.flatMap((each) => states[each] as ReadonlyArray<string>) : states[kind]
  const wanted: ReadonlyArray<unknown> | undefined =
    state === undefined ? undefined : isList(state) ? state : [state]
  if (wanted?.length === 0) throw new InvalidOption(policy, `${path}.state`, state, "at least one state")
  for (const each of wanted ?? []) oneOf<unknown>(policy, `${path}.state`, each, ...new Set(possible))
  const isNamed = naming(name)
  return (judged) => {
    if ((kind !== undefined && judged.kind !== kind) || !isNamed(judged)) return undefined
    const applies = wanted === undefined ? byDefault(judged) !== "up" : wanted.includes(judged.state)
    return applies ? health : undefined
  }
}

const naming = (name: Health.Rule["name"]): ((judged: Health.Judged) => boolean) => {
  if (name === undefined) return () => true
  if (typeof name === "string") return (judged) => judged.name === name || judged.family === name
  // A global or sticky pattern would go on where the last name ended.
  const pattern = new RegExp(name.source, name.flags.replace(/[gy]/g, ""))
  return (judged) => pattern.test(judged.name)
}

export const shape: Shape<Health.Options> = {
  rules: (policy, option, value) => {
    if (typeof value !== "function" && !isList(value)) {
      throw new InvalidOption(policy, option, value, "a list of rules, or a function")
    }
  }
}

// -------------------------------------------------------------------------------------------------------------- reading

/** A policy with what there is to say of it. */
interface Subject extends Health.Judged {
  readonly sentence: string
}

type Named = Pick<Subject, "kind" | "name" | "family" | "state">

const subjectOf = (entry: Registry.Entry): Effect.Effect<Option.Option<Subject>> =>
  Effect.map(
    Explain.explain(entry),
    Option.map((explanation): Subject => {
      const { family, name } = entry
      const { kind, state } = explanation
      return { kind, name, family, state, explanation, sentence: Explain.sentence(explanation) }
    })
  )

/** The state of a policy without the numbers behind it: that of a circuit costs a fraction of its snapshot. */
export const stateOf = ({ instance }: Registry.Entry): Effect.Effect<string | undefined> => {
  const stateful = Stateful.kindOf(instance)
  if (instance === undefined || stateful === undefined) return Effect.succeed(undefined)
  return "remainingDelay" in instance
    ? instance.state
    : Effect.map<object, never, never, string>(instance.snapshot, (it) => stateful.status(it as never))
}

const namedOf = (entry: Registry.Entry): Effect.Effect<Named | undefined> =>
  Effect.map(stateOf(entry), (state) => {
    const { family, kind, name } = entry
    // The kind says which states belong to it.
    return state === undefined ? undefined : ({ kind, name, family, state } as Named)
  })

const stored = ({ health }: Store.Store): Effect.Effect<Subject> =>
  Effect.zipWith(health, Effect.clock, (health, clock) => {
    const about = { kind: "shared-store", name: "shared-store", family: "shared-store" } as const
    const since = timeInWords(health.since, wallMillis(clock))
    const [state, sentence] =
      health._tag === "Connected"
        ? (["connected", `connected since ${since}`] as const)
        : ([
            "degraded",
            `degraded since ${since}: the store does not answer, each process goes on alone: ${quoted(health.reason)}`
          ] as const)
    return { ...about, state, explanation: undefined, sentence }
  })

// -------------------------------------------------------------------------------------------------------------- health

export const make = (
  policy: string,
  options: Health.Options
): Effect.Effect<Health.Health, never, Registry.Registry> =>
  Effect.gen(function* () {
    object(policy, "", options, shape)
    const { rules = [] } = options
    const isList = typeof rules !== "function"
    const healthOf = judging(policy, isList ? listed(policy, rules) : rules)
    const { all } = yield* Registry.Registry
    const store = yield* Store.found
    const reasonOf = ({ sentence, ...about }: Subject): ReadonlyArray<Health.Reason> => {
      const { kind, name, state } = about
      const health = healthOf(about)
      return health === "up" ? [] : [{ kind, name, state, health, reason: sentence }]
    }
    const explained = (entry: Registry.Entry) =>
      Effect.map(subjectOf(entry), Option.match({ onNone: () => [], onSome: reasonOf }))
    // A list looks at states alone, so only what is not up has to be explained.
    const judged = (entry: Registry.Entry) =>
      Effect.flatMap(namedOf(entry), (named) =>
        named === undefined || healthOf({ ...named, explanation: undefined }) === "up"
          ? nothing
          : explained(entry)
      )
    const policies = Effect.flatMap(all, (entries) => Effect.forEach(entries, isList ? judged : explained))
    const shared = Option.match(store, {
      onNone: () => nothing,
      onSome: (store) => Effect.map(stored(store), reasonOf)
    })
    return {
      check: Effect.zipWith(policies, shared, (reasons, shared) => reportOf([...reasons.flat(), ...shared]))
    }
  })

const nothing: Effect.Effect<ReadonlyArray<Health.Reason>> = Effect.succeed([])

/** Judges a policy. Where a rule throws or answers nonsense, the defaults hold, and the log says so once. */
const judging = (policy: string, judge: Judge): ((judged: Health.Judged) => Health.Status) => {
  const answered = harmless(
    (judged: Health.Judged) =>
      oneOf(policy, "the answer of a rule", judge(judged) ?? byDefault(judged), ...statuses),
    "a rule for health threw, the defaults hold"
  )
  return (judged) => answered(judged) ?? byDefault(judged)
}

/** The report on what is not up. */
export const reportOf = (reasons: ReadonlyArray<Health.Reason>): Health.Report => {
  const of = (wanted: Health.Status) => reasons.filter(({ health }) => health === wanted)
  const [down, degraded] = [of("down"), of("degraded")]
  const status = down.length > 0 ? "down" : degraded.length > 0 ? "degraded" : "up"
  return { status, reasons: [...down, ...degraded] }
}
