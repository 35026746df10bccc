/** The policies behind the admin routes: given, and found once, when the routes are made; or those of the registry at each request. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { InvalidOption } from "../../core/options.js"
import { isKeyed } from "../../policy/keyed.js"
import type * as Policy from "../../policy/Policy.js"
import * as Stateful from "../../policy/stateful.js"
import type * as Registry from "../../observability/Registry.js"
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

/** Where policies come from: one that is always there, those that have been made for keys until now, or those of the registry. */
export interface Place {
  readonly list: Effect.Effect<ReadonlyArray<Shown>>
  readonly named: (name: string) => Effect.Effect<ReadonlyArray<Shown>>
}

/** The places of the sources. Two of the same, or one that is no source, is an `InvalidOption`. */
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
        const expected = "a policy with a snapshot, a tag of one, or a keyed one"
        throw new InvalidOption(policy, option, given, expected)
      }
    }
    return found
  })

/** The policies that the registry has when it is asked. Policies without a snapshot are not shown. The key `*` stays readable. */
export const registered = (registry: Registry.Service, hash: Hash | undefined): Place => {
  const shownOf = ({ instance, key }: Registry.Entry): Effect.Effect<ReadonlyArray<Shown>> =>
    instance === undefined ? Effect.succeed([]) : showAt(instance, secretOf(key), hash)
  const shown = (entries: Effect.Effect<ReadonlyArray<Registry.Entry>>) =>
    Effect.map(Effect.flatMap(entries, Effect.forEach(shownOf)), (found) => found.flat())
  return placeOf(shown(registry.all), (name) => shown(registry.find(name)), hash)
}

/** The instances of a keyed policy. Only their keys are known beforehand, so an instance is asked for its name. */
const keyed = (policy: HttpAdmin.Keyed, hash: Hash | undefined): Place => {
  const ofKey = (key: string): Effect.Effect<ReadonlyArray<Shown>> =>
    Effect.flatMap(policy.find(key), (found) =>
      Option.isNone(found) ? Effect.succeed([]) : showAt(found.value, key, hash)
    )
  const ofKeys = (keys: Iterable<string>): Effect.Effect<ReadonlyArray<Shown>> =>
    Effect.map(Effect.forEach(keys, ofKey), (found) => found.flat())
  const list = Effect.flatMap(policy.snapshots, (snapshots) => ofKeys(snapshots.keys()))
  return placeOf(list, (name) => ofKeys(endings(name)), hash)
}

/** The key that a hash may hide: not that of the instance that keys without room share. */
export const secretOf = (key: string | undefined): string | undefined => (key === "*" ? undefined : key)

/** A place where a name can be looked up, unless it is hashed: then only the list has it. */
const placeOf = (list: Place["list"], plain: Place["named"], hash: Hash | undefined): Place => ({
  list,
  named: (name) =>
    Effect.map(hash === undefined ? plain(name) : list, (found) =>
      found.filter((shown) => shown.name === name)
    )
})

/** The instance of a key, or one without, under the name by which it is shown. */
const showAt = (
  instance: HttpAdmin.Instance,
  key: string | undefined,
  hash: Hash | undefined
): Effect.Effect<ReadonlyArray<Shown>> =>
  Effect.map(shownName(instance.name, key, hash), (shownName) => {
    const shown = show(instance, shownName)
    return shown === undefined ? [] : [shown]
  })

/** The name of an instance as it is shown: with a hash in the place of its key, where that is asked for. */
export const shownName = (
  name: string,
  key: string | undefined,
  hash: Hash | undefined
): Effect.Effect<string> =>
  hash === undefined || key === undefined
    ? Effect.succeed(name)
    : Effect.map(hash(key), (hashed) => name.slice(0, name.length - key.length) + hashed)

/** What may be the key in a name: all that follows a slash. To look for each is cheaper than to read all instances. */
const endings = (name: string): ReadonlyArray<string> =>
  Array.from(name.matchAll(/\//g), ({ index }) => name.slice(index + 1))

interface Instance extends Policy.Described, Readonly<Record<Action, Effect.Effect<void>>> {
  readonly snapshot: Effect.Effect<object>
}

/** An instance as the routes see it, or `undefined` when it is none. */
const show = (given: unknown, shownName?: string): Shown | undefined => {
  const stateful = Stateful.kindOf(given)
  if (stateful === undefined) return undefined
  const { actions, kind, status } = stateful
  const instance = given as Instance
  const name = shownName ?? instance.name
  return {
    kind: kind as Kind,
    name,
    // The schema of an entry checks whether its parts belong together.
    entry: Effect.map(instance.snapshot, (snapshot) => {
      const entry: unknown = { kind, name, state: status(snapshot as never), snapshot: { ...snapshot, name } }
      return entry as HttpAdmin.Entry
    }),
    actions: Object.fromEntries(actions.map((action) => [action, instance[action as Action]]))
  }
}
