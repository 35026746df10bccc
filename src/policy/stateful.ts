/** Derives tags, layers, the default service and keyed instances of a stateful policy from one definition. */
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import {
  type Caller,
  type Check,
  InvalidOption,
  isObject,
  object,
  type Shape,
  text
} from "../core/options.js"
import type { Body } from "../internal/erased.js"
import { unwrap } from "../internal/stream.js"
import { check as checkCondition } from "./condition.js"
import { guardedBy, type Part, partIn, takingPart } from "./frame.js"
import { observerIn, observerKey } from "./events.js"
import { fromConfig } from "./fromConfig.js"
import { type Bounds, boundsShape, Keyed, type Member } from "./keyed.js"
import type * as Observer from "./Observer.js"
import * as Policy from "./Policy.js"

/** The types of one kind of policy, filled in by its module in the manner of `effect/HKT`. */
export interface Family {
  readonly module: string
  readonly needed: unknown
  /** `Operations<this["needed"]>` */
  readonly operations: unknown
  /** `Service<this["needed"]>`: the operations and the layers. */
  readonly service: unknown
  readonly instance: Policy.Described
  readonly options: Named
  readonly settings: Named
  readonly given: object
  readonly snapshot: unknown
}

/** The same for a policy with keyed instances. */
export interface KeyedFamily extends Family {
  /** `KeyedOperations<this["needed"]>` */
  readonly keyed: unknown
  /** `KeyedService<this["needed"]>` */
  readonly keyedService: unknown
}

interface Named {
  readonly name?: string | undefined
}

type Applied<F extends Family, Part extends keyof F, Needed> = (F & { readonly needed: Needed })[Part]

/** How a member of an instance becomes one of its tag: a function to policies by a check of its arguments that returns settings. */
type Lifting<M> = M extends Policy.Described
  ? "policy"
  : M extends Effect.Effect<infer _A, infer _E, infer _R>
    ? "effect"
    : M extends Stream.Stream<infer _A, infer _E, infer _R>
      ? "stream"
      : M extends (...args: infer Args) => infer Result
        ? Result extends Policy.Described
          ? (...args: Args) => Policy.Settings
          : Result extends Effect.Effect<infer _A, infer _E, infer _R>
            ? "call"
            : "combinator"
        : never

/** Derived from the operations, so that the compiler reports a forgotten member. */
type Members<Operations> = { readonly [K in keyof Operations]: Lifting<Operations[K]> }

/** What an instance carries on its class, so that it can be shown and steered without knowing its kind. */
export interface Kind<in Snapshot = never, out Action extends string = string> {
  readonly kind: string
  /** The state in one word. */
  readonly status: (snapshot: Snapshot) => string
  /** The members that steer an instance. */
  readonly actions: ReadonlyArray<Action>
}

export interface Definition<F extends Family> extends Kind<
  F["snapshot"],
  keyof Applied<F, "operations", never> & string
> {
  /** The name of the module, in the keys of its tags. */
  readonly module: F["module"]
  readonly make: (
    options: F["options"],
    defaultName: string,
    caller?: Caller
  ) => Effect.Effect<F["instance"], never, Scope.Scope>
  /** Checks settings from the configuration. Throws an `InvalidOption` for the first bad one. */
  readonly check: (settings: F["settings"], defaultName: string, caller: Caller) => unknown
  /** What `layerConfig` takes besides settings. */
  readonly given: Shape<F["given"]>
  /** The options when none are given, if they are optional. */
  readonly defaults?: F["options"]
  readonly members: Members<Applied<F, "operations", never>>
  /** Whether its policies can take part in the frame of a pipeline, and whether they hold something during a call. */
  readonly takesPart?: "holding" | "passing"
  /** Whether an instance lives as long as a scope. */
  readonly scoped?: boolean
}

export interface KeyedDefinition<F extends KeyedFamily> extends Definition<F> {
  readonly make: (
    options: F["options"],
    defaultName: string,
    caller?: Caller,
    /** The same object for all keys of one keyed policy. */
    family?: object
  ) => Effect.Effect<F["instance"] & Member<F["snapshot"]>>
  /** What a keyed policy offers besides the common members. */
  readonly byKey: <Needed>(
    at: (key: string) => Applied<F, "operations", Needed>,
    /** The instance of a key, which is made when there is none. */
    get: (key: string) => Effect.Effect<F["instance"], never, Needed>
  ) => Omit<Applied<F, "keyed", Needed>, keyof Policy.Keyed<unknown, unknown>>
}

/** `protectWhen` as a member, which shows the settings of the policy without a condition. */
export const condition =
  (module: string) =>
  (given: unknown): Policy.Settings => {
    checkCondition(`${module}.protectWhen`, "condition", given)
    return {}
  }

export const Kind: unique symbol = /*#__PURE__*/ Symbol.for("effect-resilience/Kind")

/** The kind of an instance of any stateful policy. */
export const kindOf = (instance: unknown): Kind | undefined =>
  Predicate.hasProperty(instance, Kind) ? (instance[Kind] as Kind) : undefined

type Found = Readonly<Record<string, unknown>>
type AnyPolicy = (self: Body) => Body
type AnyFunction = (...args: ReadonlyArray<unknown>) => unknown
type Lift = string | ((...args: ReadonlyArray<unknown>) => Policy.Settings)

/** Where the operations of a tag or of a key come from. */
interface Source {
  readonly described: Policy.Described
  /** Runs something with what is found; `self` alone where a key has no instance. */
  readonly use: (run: (found: Found) => Body, self?: Body) => Body
  readonly of: (found: Found) => Found
  readonly part?: ((policyOf: (found: Found) => object) => Part) | undefined
  /** What keeps the operations once they are made. */
  readonly keptOn?: object
}

/** Caches what was made from the last instance, such as a compiled condition. */
const perInstance = <Instance, A>(make: (instance: Instance) => A): ((instance: Instance) => A) => {
  let last: { readonly instance: Instance; readonly made: A } | undefined
  return (instance) => {
    if (last?.instance !== instance) last = { instance, made: make(instance) }
    return last.made
  }
}

const lifted = ({ described, of, part, use }: Source, name: string, lift: Lift): unknown => {
  const policy = (settings: Policy.Settings, policyOf: (found: Found) => AnyPolicy): object => {
    const made = Policy.make({ ...described, settings }, (self: Body) =>
      use(
        perInstance((found: Found) => policyOf(found)(self)),
        self
      )
    )
    return part === undefined ? made : takingPart(made, part(policyOf))
  }
  const call = (found: Found, args: ReadonlyArray<unknown>) => (of(found)[name] as AnyFunction)(...args)
  switch (lift) {
    case "policy": {
      const policyOf = (found: Found) => of(found)[name] as AnyPolicy
      // A policy weighs as much as the rest of an instance by key, so none is made of it.
      const guarded = (found: Found) => guardedBy(of(found)) ?? policyOf(found)
      return policy(described.settings, part === undefined ? guarded : policyOf)
    }
    case "effect":
      return use((found) => of(found)[name] as Body)
    case "stream":
      return unwrap(use((found) => Effect.succeed(of(found)[name])) as Effect.Effect<Stream.Stream<unknown>>)
    case "call":
      return (...args: ReadonlyArray<unknown>) => use((found) => call(found, args) as Body)
    case "combinator":
      return (...args: ReadonlyArray<unknown>) =>
        (self: Body) =>
          use((found) => (call(found, args) as AnyPolicy)(self), self)
    default: {
      const settingsOf = lift as Exclude<Lift, string>
      return (...args: ReadonlyArray<unknown>) =>
        policy(
          { ...described.settings, ...settingsOf(...args) },
          perInstance((found: Found) => call(found, args) as AnyPolicy)
        )
    }
  }
}

const from: unique symbol = /*#__PURE__*/ Symbol()

interface Operations {
  readonly [from]: Source
}

/** A prototype of operations, each made when it is asked for. There may be an object of it for each call. */
const prototypeOf = (members: Readonly<Record<string, Lift>>, base: object | null): object => {
  const prototype = Object.create(base) as object
  for (const [name, lift] of Object.entries(members)) {
    Object.defineProperty(prototype, name, {
      enumerable: true,
      get(this: Operations) {
        const source = this[from]
        const value = lifted(source, name, lift)
        if (source.keptOn !== undefined)
          Object.defineProperty(source.keptOn, name, { value, enumerable: true })
        return value
      }
    })
  }
  return prototype
}

/** The options of an instance: the same for every key, or a function of it. */
type Each<O> = O | ((key: string) => O)

interface KeyedOptions<O> extends Bounds {
  readonly options?: Each<O> | undefined
}

const keyedShape: Shape<KeyedOptions<unknown>> = {
  ...boundsShape,
  options: (policy, option, value) => {
    if (typeof value !== "function" && !isObject(value)) {
      throw new InvalidOption(policy, option, value, "options, or a function to options")
    }
  }
}

/** The name of the instance of a key. If the function of the key throws, the call dies of it. */
const describedName = <O extends Named>(
  defaultName: string,
  each: Each<O> | undefined,
  key: string
): string => {
  try {
    return nameFor(defaultName, typeof each === "function" ? each(key) : (each ?? {}), key)
  } catch {
    return nameFor(defaultName, {}, key)
  }
}

const nameFor = (defaultName: string, { name }: Named, key: string): string => `${name ?? defaultName}/${key}`

/** The options of the instance of a key, with the key in its name; without a key those of the shared instance. */
const optionsOf = <O extends Named>(
  policy: string,
  defaultName: string,
  each: Each<O> | undefined,
  key: string | undefined
): O & { readonly name: string } => {
  const given = typeof each === "function" ? each(key ?? "*") : each
  if (!isObject(given)) throw new InvalidOption(policy, "options", given, "options, or a function to options")
  if (given.name !== undefined) text(policy, "options.name", given.name)
  return { ...given, name: nameFor(defaultName, given, key ?? "*") }
}

/** What all keyed policies offer, with erased types. */
interface ByKey {
  readonly described: Policy.Described
  readonly at: (key: string) => object
  readonly find: (key: string) => Effect.Effect<unknown>
  readonly size: Effect.Effect<number>
  readonly snapshots: Effect.Effect<unknown>
}

/** A keyed policy with access to its instances. */
interface Gettable extends ByKey {
  readonly get: (key: string) => Effect.Effect<unknown>
}

/** What comes from a definition. */
export interface Stateful<F extends Family> {
  readonly make: (options?: F["options"]) => Effect.Effect<F["instance"], never, Scope.Scope>
  readonly Tag: <const Id extends string>(
    id: Id
  ) => <Self>() => Context.TagClass<Self, `${F["module"]}/${Id}`, F["instance"]> & Applied<F, "service", Self>
  /** The service of a program that has just one. */
  readonly service: () => Context.Tag<F["instance"], F["instance"]> & Applied<F, "service", F["instance"]>
}

export interface KeyedStateful<F extends KeyedFamily> extends Stateful<F> {
  readonly make: (options?: F["options"]) => Effect.Effect<F["instance"]>
  readonly keyed: (options?: KeyedOptions<F["options"]>) => Effect.Effect<Applied<F, "keyed", never>>
  readonly KeyedTag: <const Id extends string>(
    id: Id
  ) => <Self>() => Context.TagClass<Self, `Keyed${F["module"]}/${Id}`, Applied<F, "keyed", never>> &
    Applied<F, "keyedService", Self>
}

/** A definition with erased types. */
interface AnyDefinition {
  readonly module: string
  readonly kind: string
  readonly make: Make
  readonly check: (settings: object | undefined, defaultName: string, caller: Caller) => unknown
  readonly given: Readonly<Record<string, Check>>
  readonly defaults?: object
  readonly members: Readonly<Record<string, Lift>>
  readonly takesPart?: "holding" | "passing"
  readonly scoped?: boolean
}

type Make = (
  options: object | undefined,
  defaultName: string,
  caller?: Caller,
  family?: object
) => Effect.Effect<unknown, never, Scope.Scope>

type AnyTag = Context.Tag<unknown, unknown>

/** A tag's name in messages, and the default name of its instance. */
interface Names {
  readonly called: string
  readonly defaultName: string
}

/** A layer's context, with which the program's observer is told that the scope has ended. */
const leaving = <I>(context: Context.Context<I>): Layer.Layer<I> =>
  Layer.scopedContext(
    Effect.contextWithEffect((around: Context.Context<never>) => {
      const observer = observerIn(around)
      if (observer?.unsafeLeft === undefined) return Effect.succeed(context)
      const left = Effect.sync(() => {
        for (const made of context.unsafeMap.values()) observer.unsafeLeft?.(made as Policy.Described)
      })
      return Effect.as(
        Effect.addFinalizer(() => left),
        context
      )
    })
  )

/** The layers of a tag. `merge` combines settings from the configuration with what is given besides. */
const layersOf = (
  tag: AnyTag,
  { called, defaultName }: Names,
  { check, defaults, given: shape, make, scoped }: Omit<AnyDefinition, "module" | "kind" | "members">,
  merge: (settings: object, given: object) => object
): object => {
  // `Layer.scoped` would hide the builder's scope from the listeners.
  const built: typeof Layer.scoped = scoped === true ? Layer.scoped : (Layer.effect as typeof Layer.scoped)
  const layerOf = <E, R>(tag: AnyTag, made: Effect.Effect<unknown, E, R>) =>
    Layer.flatMap(built(tag, made), leaving)
  return {
    layer: (options: object | undefined = defaults) =>
      layerOf(tag, make(options, defaultName, { policy: `${called}.layer` })),
    layerConfig: (settings: Config.Config.Wrap<object>, given: object = {}) => {
      const caller = { policy: `${called}.layerConfig` }
      const read = Effect.suspend(() => {
        object(caller.policy, "", given, shape)
        return fromConfig({ caller, settings, check: (read) => check(read, defaultName, caller) })
      })
      return layerOf(
        tag,
        Effect.flatMap(read, (read) => make(merge(read, given), defaultName, caller))
      )
    }
  }
}

export const define = <F extends Family>(definition: Definition<F>): Stateful<F> => {
  const any = definition as unknown as AnyDefinition
  const { kind, make, members, module, takesPart } = any
  let prototype: object | undefined
  const service = (tag: AnyTag, names: Names): object => {
    const found = tag as unknown as Effect.Effect<Found>
    const source: Source = {
      described: { kind, name: names.defaultName, settings: {} },
      use: (run) => Effect.flatMap(found, run),
      of: identity,
      part: takesPart && ((policyOf) => partIn(tag, takesPart === "holding", policyOf)),
      keptOn: tag
    }
    prototype ??= prototypeOf(members, Object.getPrototypeOf(tag) as object)
    return Object.assign(
      Object.setPrototypeOf(tag, prototype) as AnyTag,
      { [from]: source },
      layersOf(tag, names, any, (settings, given) => ({ ...settings, ...given }))
    )
  }
  const made = {
    make: (options: object | undefined = any.defaults) => make(options, kind),
    Tag: (id: string) => () => service(tagOf(`${module}/${id}`), { called: id, defaultName: id }),
    service: () =>
      service(Context.GenericTag(`effect-resilience/${module}`), { called: module, defaultName: kind })
  }
  return made as unknown as Stateful<F>
}

const Observed = Context.GenericTag<Observer.Service>(observerKey)

/** The observer that the instance of a key finds when it is made. */
const ofKey = (observer: Observer.OfInstance, key: string): Observer.Service => ({
  ...observer,
  unsafeMaking: (making) => observer.unsafeMaking?.({ ...making, key }) ?? observer
})

const instancesOf = new WeakMap<object, Keyed<Found & Member, unknown>>()

/** The instances of a keyed policy that was made here, the shared one among them; or the one of a key. */
export const membersOf = (keyed: object, key?: string): Iterable<unknown> =>
  instancesOf.get(keyed)?.members(key) ?? []

const tagOf = (key: string): AnyTag => Context.Tag(key)<unknown, unknown>()

export const defineKeyed = <F extends KeyedFamily>(definition: KeyedDefinition<F>): KeyedStateful<F> => {
  const { byKey, check, defaults, kind, make, members, module, ...rest } =
    definition as unknown as AnyDefinition & {
      readonly byKey: (at: Gettable["at"], get: Gettable["get"]) => object
    }
  const prototype = prototypeOf(members, null)
  const operationsFrom = (source: Source): object =>
    Object.assign(Object.create(prototype) as object, { [from]: source })

  const keyedOf = (
    options: KeyedOptions<Named> | undefined,
    defaultName: string,
    caller: Caller
  ): Effect.Effect<object> =>
    Effect.map(Effect.context<never>(), (context) => {
      const { policy } = caller
      object(policy, "", options, keyedShape)
      const { options: each = defaults, ...bounds } = options ?? {}
      const at = { policy, path: "options" }
      const of = (key: string | undefined) => optionsOf(policy, defaultName, each, key)
      // Options that are the same for every key are checked now, not at the first call.
      if (typeof each !== "function") check(of(undefined), defaultName, at)
      const name = (typeof each === "function" ? undefined : (each as Named).name) ?? defaultName
      const observer = observerIn(context)?.unsafeMaking?.({ kind, name, isKeyed: true })
      const makeOf = (key: string | undefined) =>
        Effect.provide(
          Effect.suspend(() => make(of(key), defaultName, at, bounds)),
          observer === undefined ? context : Context.add(context, Observed, ofKey(observer, key ?? "*"))
        ) as Effect.Effect<Found & Member>
      const instances = new Keyed<Found & Member, unknown>(policy, bounds, makeOf)
      const unkept = Effect.suspend(() => makeOf(undefined))
      const use: (key: string) => Source["use"] = (key) => (run, self) =>
        instances.use(key, (instance) =>
          instance === undefined ? (self ?? Effect.flatMap(unkept, run)) : run(instance)
        )
      const operations: ByKey["at"] = (key) =>
        operationsFrom({
          described: { kind, name: describedName(defaultName, each, key), settings: { key } },
          use: use(key),
          of: identity
        })
      const keyed: ByKey = {
        described: { kind, name, settings: {} },
        at: operations,
        find: instances.find,
        size: instances.size,
        snapshots: instances.snapshots
      }
      const made = {
        ...keyed,
        ...byKey(operations, (key) => use(key)(Effect.succeed) as Effect.Effect<unknown>)
      }
      instancesOf.set(made, instances)
      instances.owner = made
      observer?.unsafeMade(made as unknown as Observer.AnyKeyed)
      return made
    })

  /** The instances behind a tag may be a user's, so only their public operations are used. */
  const service = (tag: AnyTag, name: string): object => {
    const found = tag as unknown as Effect.Effect<ByKey>
    const operations: ByKey["at"] = (key) =>
      operationsFrom({
        described: { kind, name: nameFor(name, {}, key), settings: { key } },
        use: (run) => Effect.flatMap(found as unknown as Effect.Effect<Found>, run),
        of: (keyed) => (keyed as unknown as ByKey).at(key) as Found
      })
    const keyed: ByKey = {
      described: { kind, name, settings: {} },
      at: operations,
      find: (key) => Effect.flatMap(found, (keyed) => keyed.find(key)),
      size: Effect.flatMap(found, (keyed) => keyed.size),
      snapshots: Effect.flatMap(found, (keyed) => keyed.snapshots)
    }
    const layers = layersOf(
      tag,
      { called: name, defaultName: name },
      {
        ...rest,
        defaults: {},
        make: keyedOf as Make,
        check: (settings, defaultName, { policy }) => {
          object(policy, "", settings, keyedShape)
          const { options = defaults } = settings as KeyedOptions<object>
          check(options, defaultName, { policy, path: "options" })
        }
      },
      ({ options = defaults, ...bounds }: KeyedOptions<object>, given) => ({
        ...bounds,
        options: { ...options, ...given }
      })
    )
    return Object.assign(
      tag,
      keyed,
      byKey(operations, (key) => Effect.flatMap(found, (keyed) => (keyed as Gettable).get(key))),
      layers
    )
  }

  const made = {
    ...define(definition),
    keyed: (options: KeyedOptions<Named> = {}) => keyedOf(options, kind, { policy: `${module}.keyed` }),
    KeyedTag: (id: string) => () => service(tagOf(`Keyed${module}/${id}`), id)
  }
  return made as unknown as KeyedStateful<F>
}
