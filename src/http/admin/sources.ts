/** The policies behind the admin routes: found once, when the routes are made, and read whenever somebody asks. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { InvalidOption } from "../../core/options.js"
import { isKeyed } from "../../policy/keyed.js"
import type * as Policy from "../../policy/Policy.js"
import * as Stateful from "../../policy/stateful.js"
import type * as HttpAdmin from "./HttpAdmin.js"
import type { Hash } from "./keys.js"
import type { Action, Kind } from "./names.js"

type Actions = Partial<Record<Action, Effect.Effect<void>>>

/** A policy as the routes see it, whatever its kind. */
export interface Shown {
  readonly kind: Kind
  readonly name: string
  readonly entry: Effect.Effect<HttpAdmin.Entry>
  readonly actions: Actions
}

/** Where policies come from: one that is always there, or those that have been made for keys until now. */
export interface Place {
  readonly list: Effect.Effect<ReadonlyArray<Shown>>
  readonly named: (name: string) => Effect.Effect<ReadonlyArray<Shown>>
}

/** The places of the given sources, or an `InvalidOption` where two are the same or one is none. */
export const places = (
  policy: string,
  sources: ReadonlyArray<HttpAdmin.Source>,
  hash: Hash | undefined
): Effect.Effect<ReadonlyArray<Place>, never, unknown> =>
  Effect.gen(function* () {
    const seen = new Set<unknown>()
    const found: Array<Place> = []
    for (const [index, source] of sources.entries()) {
      const option = `policies[${index}]`
      const once = (identity: unknown, value: unknown, expected: string): void => {
        if (seen.has(identity)) throw new InvalidOption(policy, option, value, expected)
        seen.add(identity)
      }
      const given: unknown = Effect.isEffect(source) ? yield* source : source
      const shown = show(given)
      if (shown !== undefined) {
        once(`${shown.kind} ${shown.name}`, shown.name, `the only ${shown.kind} of its name`)
        found.push({
          list: Effect.succeed([shown]),
          named: (name) => Effect.succeed(shown.name === name ? [shown] : [])
        })
      } else if (isKeyed(given)) {
        once(given, undefined, "given once")
        found.push(keyed(given as HttpAdmin.Keyed, hash))
      } else {
        throw new InvalidOption(
          policy,
          option,
          given,
          "a policy with a snapshot, a tag of one, or a keyed one"
        )
      }
    }
    return found
  })

/** The instances of a keyed policy. Only their keys are known beforehand, so an instance is asked for its name. */
const keyed = (policy: HttpAdmin.Keyed, hash: Hash | undefined): Place => {
  const ofKey = (key: string): Effect.Effect<ReadonlyArray<Shown>> =>
    Effect.flatMap(policy.find(key), (found) => {
      if (Option.isNone(found)) return Effect.succeed([])
      const instance = found.value
      const name =
        hash === undefined
          ? Effect.succeed(instance.name)
          : Effect.map(
              hash(key),
              (hashed) => `${instance.name.slice(0, instance.name.length - key.length)}${hashed}`
            )
      return Effect.map(name, (name) => {
        const shown = show(instance, name)
        return shown === undefined ? [] : [shown]
      })
    })
  const ofKeys = (keys: Iterable<string>): Effect.Effect<ReadonlyArray<Shown>> =>
    Effect.map(Effect.forEach(keys, ofKey), (found) => found.flat())
  const list = Effect.flatMap(policy.snapshots, (snapshots) => ofKeys(snapshots.keys()))
  return {
    list,
    named: (name) =>
      Effect.map(hash === undefined ? ofKeys(endings(name)) : list, (found) =>
        found.filter((shown) => shown.name === name)
      )
  }
}

/** What may be the key in a name: all that comes after a slash. Looking for each of them is cheaper than reading all instances. */
const endings = (name: string): ReadonlyArray<string> =>
  Array.from(name.matchAll(/\//g), ({ index }) => name.slice(index + 1))

/** What there is of an instance of any kind. */
interface Instance extends Policy.Described {
  readonly snapshot: Effect.Effect<object>
}

/** What is shown of an instance, or `undefined` when it is none. */
const show = (instance: unknown, name?: string): Shown | undefined => {
  const kind = Stateful.kindOf(instance)
  return kind && shownAs(kind, instance as Instance, name)
}

const shownAs = (
  { actions, kind, status }: Stateful.Kind,
  instance: Instance,
  name: string = instance.name
): Shown => ({
  kind: kind as Kind,
  name,
  // The schema of an entry checks whether its parts belong together.
  entry: Effect.map(instance.snapshot, (snapshot) => {
    const entry: unknown = { kind, name, state: status(snapshot as never), snapshot: { ...snapshot, name } }
    return entry as HttpAdmin.Entry
  }),
  actions: Object.fromEntries(
    actions.map((action) => [action, instance[action as keyof Instance] as unknown as Effect.Effect<void>])
  )
})
