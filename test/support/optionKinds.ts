/** What options may be, for the tables that say so of every constructor. */
import { Duration, Effect } from "effect"

const never = [null, true, {}, [], "what"] as const
const noNumber = [null, true, "1", {}, [], NaN, -1, -Infinity]
/** Values that an option of a kind cannot have. */
export const kinds = {
  name: [null, "", 5, true, {}, () => "name"],
  flag: [null, 0, 1, "true", {}, () => true],
  listener: [null, 5, "log", true, {}, Effect.void],
  whole: [...noNumber, 1.5, Infinity, 2 ** 53, 0],
  wholeOrNone: [...noNumber, 1.5, Infinity],
  times: [...noNumber, 1.5],
  finite: [...noNumber, Infinity],
  fraction: [...noNumber, 0, 1.5],
  duration: [null, true, {}, "soon", "1 parsec", NaN, -1, -1n, "-1 seconds", [-1, 0], new Date(0)],
  positive: [null, true, {}, "soon", NaN, -1, "-1 seconds", 0, "0 millis", Duration.zero],
  schedule: [...never, 5, () => 1],
  condition: [
    null,
    true,
    5,
    "Down",
    [],
    { tag: ["Down"] },
    { tags: "Down" },
    { tags: [5] },
    { error: true },
    { result: 5 }
  ].concat([
    { defect: "all" },
    { ignore: true },
    { ignore: { tag: [] } },
    { retryAfter: 5 },
    { any: 5 },
    { any: [5] }
  ] as never),
  budget: [...never, 5, () => 1],
  list: [null, true, 5, "what", {}],
  object: [null, true, 5, "what", [], () => 1],
  word: [null, true, 5, "what", {}],
  trip: [
    ...never,
    5,
    { _tag: "often" },
    { _tag: "consecutive" },
    { _tag: "any", rules: 5 },
    { _tag: "failures", count: 1 }
  ],
  rate: [
    ...never,
    10,
    { _tag: "leaky", limit: 1, per: 1 },
    { _tag: "smooth" },
    { _tag: "smooth", limit: 0, per: 1 }
  ],
  rule: [...never, 5, { _tag: "often" }, { _tag: "successes", ratio: -1, capacity: 1, perSecond: 0, cost: 1 }]
} satisfies Record<string, ReadonlyArray<unknown>>

/** What an option may be. */
export type Kind = keyof typeof kinds

/** The kinds of the options of an interface: one that is missing does not compile. */
export const kindsOf = <O>(kinds: { readonly [Name in keyof O]-?: Kind }) => kinds

export const listeners = <Name extends string>(...names: ReadonlyArray<Name>) =>
  Object.fromEntries(names.map((name) => [name, "listener"])) as Record<Name, "listener">
