/**
 * The policies that requests share: circuit breakers, bulkheads and rate limiters, for clients and for servers. Each can be given
 * as its options, as an instance, as one for each key, or as the tag of either.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Bulkhead from "../../bulkhead/Bulkhead.js"
import { configure as configureBulkhead, shape as bulkheadShape } from "../../bulkhead/options.js"
import * as CircuitBreaker from "../../circuitBreaker/CircuitBreaker.js"
import { configure as configureBreaker, shape as breakerShape } from "../../circuitBreaker/options.js"
import { type Caller, InvalidOption, isObject, join, object, type Shape } from "../../core/options.js"
import { type Bounds, boundsShape, isKeyed, refuseBounds } from "../../policy/keyed.js"
import type * as Policy from "../../policy/Policy.js"
import { configure as configureLimiter, shape as limiterShape } from "../../rateLimiter/options.js"
import * as RateLimiter from "../../rateLimiter/RateLimiter.js"
import { once, type Using } from "./once.js"

interface Single {
  readonly protect: Policy.Described
}

interface ByKey<Operations> {
  readonly described: Policy.Described
  readonly at: (key: string) => Operations
  readonly find: (key: string) => Find
}

/** A kind of policy that requests share. */
export interface Kind<Options, Operations> {
  readonly kind: string
  readonly shape: Shape<Options>
  readonly configure: (options: Options, defaultName: string, caller: Caller) => Configured
  readonly make: (options: Options) => Effect.Effect<Operations, never, unknown>
  readonly keyed: (options: Keyed<Options>) => Effect.Effect<ByKey<Operations>, never, unknown>
}

type Configured = Pick<Policy.Described, "name" | "settings">
type Keyed<Options> = Bounds & { readonly options: Options }

export const circuitBreaker: Kind<CircuitBreaker.Options, CircuitBreaker.Operations> = {
  kind: "circuit-breaker",
  shape: breakerShape,
  configure: configureBreaker,
  make: (options) => CircuitBreaker.make(options),
  keyed: (options) => CircuitBreaker.keyed(options)
}

export const bulkhead: Kind<Bulkhead.Options, Bulkhead.Operations> = {
  kind: "bulkhead",
  shape: bulkheadShape,
  configure: configureBulkhead,
  make: (options) => Bulkhead.make(options),
  keyed: (options) => Bulkhead.keyed(options)
}

export const rateLimiter: Kind<RateLimiter.Options, RateLimiter.Operations> = {
  kind: "rate-limiter",
  shape: limiterShape,
  configure: configureLimiter,
  make: (options) => RateLimiter.make(options),
  keyed: (options) => RateLimiter.keyed(options)
}

type KeyOf<Request> = (request: Request) => string | undefined

interface Keying<Request> {
  readonly key?: KeyOf<Request> | undefined
}

/** What was given, and the caller's own options. */
export interface Given<Request, Own, ByKeyOwn extends Keying<Request>> {
  readonly caller: Caller
  readonly value: object
  /** The options beside something that is made elsewhere. */
  readonly use: object
  readonly own: Shape<Own>
  /** More options of keyed policies. */
  readonly ownByKey: Shape<ByKeyOwn>
  readonly defaultKey?: KeyOf<Request>
  /** Whether options without a `key` are those of a keyed policy, too. */
  readonly isByKey?: boolean
}

interface Resolved<Request, Operations, Own> {
  readonly described: Policy.Described
  readonly own: Own
  /** Makes something of the operations for a request, and continues with it; with nothing if the request has no key. */
  readonly of: <Made>(make: Making<Operations, Made>) => Use<Request, Made>
}

/** Makes something of operations. `find` looks for the instance of their key without making one. */
type Making<Operations, Made> = (operations: Operations, find?: Find) => Made

type Find = Effect.Effect<Option.Option<unknown>>

export type Use<Request, Made> = <A, E, R>(
  request: Request,
  use: (made: Made | undefined) => Effect.Effect<A, E, R>
) => Effect.Effect<A, E, R>

/** Whether something is an instance, a keyed one, or the tag of either, in contrast to options. */
export const isMade = (value: unknown): boolean => Predicate.hasProperty(value, "protect") || isKeyed(value)

/** Finds out what was given. Options are checked now, and their policy is made with the first request. */
export const resolve = <
  Request,
  Options extends object,
  Operations extends Single,
  Own extends object,
  ByKeyOwn extends Keying<Request>
>(
  { configure, keyed, kind, make, shape }: Kind<Options, Operations>,
  { caller, defaultKey, isByKey, own: ownShape, ownByKey, use, value }: Given<Request, Own, ByKeyOwn>
): Resolved<Request, Operations, Own & ByKeyOwn> => {
  const { path = "", policy } = caller
  const ofKey = { ...ownShape, ...ownByKey }
  const given = value as Operations | ByKey<Operations>
  const isForEach = isForKeys(given)
  if (isMade(value)) {
    const { kind: madeKind } = isForEach ? given.described : given.protect
    if (madeKind !== kind) throw new InvalidOption(policy, path, madeKind, `a ${kind}`)
    object(policy, path, use, isForEach ? ofKey : ownShape)
  } else object(policy, path, value, { ...shape, ...boundsShape, ...ofKey })
  const own = pick<Own & ByKeyOwn>(isMade(value) ? use : value, ofKey)
  const { key = defaultKey } = own

  const resolved = (
    described: Policy.Described,
    using: Using<Operations | ByKey<Operations>>,
    keyOf?: KeyOf<Request>
  ): Resolved<Request, Operations, Own & ByKeyOwn> => ({
    described,
    own,
    of: (made) => usingMade(using, keyOf, made)
  })

  if (isForEach) {
    if (key === undefined) {
      const expected = "a function of the request, where there is a key"
      throw new InvalidOption(policy, join(path, "key"), key, expected)
    }
    return resolved({ ...given.described, settings: byKey }, found(given), key)
  }
  if (isMade(value)) return resolved(given.protect, found(given))
  const options = pick<Options>(value, shape)
  const { name, settings } = configure(options, kind, caller)
  if (own.key === undefined && isByKey !== true) {
    refuseBounds(caller, value)
    return resolved({ kind, name, settings }, once(make(options)))
  }
  const shown = own.key === undefined ? settings : { ...settings, ...byKey }
  return resolved(
    { kind, name, settings: shown },
    once(keyed({ ...pick<Bounds>(value, boundsShape), options })),
    key
  )
}

const byKey: Policy.Settings = { key: "of the request" }

const isForKeys = <Operations>(given: Operations | ByKey<Operations>): given is ByKey<Operations> =>
  isKeyed(given)

const pick = <O>(from: object, shape: object): O =>
  Object.fromEntries(Object.entries(from).filter(([name]) => Object.hasOwn(shape, name))) as O

/** What is made for a key finds the instance at each call, so it can be discarded at any time. */
const maxMade = 1000

/** A tag is found for each request. */
const found = <A>(given: A): Using<A> =>
  Context.isTag(given)
    ? (use) => Effect.flatMap(given as unknown as Effect.Effect<A>, use)
    : (use) => use(given)

const usingMade = <Request, Operations, Made>(
  using: Using<Operations | ByKey<Operations>>,
  keyOf: KeyOf<Request> | undefined,
  make: Making<Operations, Made>
): Use<Request, Made> => {
  const made = new Map<string, Made>()
  let from: unknown
  const madeOf = (given: Operations | ByKey<Operations>, key: string): Made => {
    if (from !== given) made.clear()
    from = given
    const before = made.get(key)
    if (before !== undefined) return before
    if (made.size >= maxMade) made.clear()
    const now = isForKeys(given) ? make(given.at(key), given.find(key)) : make(given)
    made.set(key, now)
    return now
  }
  return (request, use) =>
    using((given) => {
      const key = keyOf === undefined ? "" : keyOf(request)
      return use(key === undefined ? undefined : madeOf(given, key))
    })
}

/** Accepts a value that is checked where it is read. */
export const isWhereRead = (): boolean => true

/** The part in a place of a `standard`, if any: given, or made of what is given. */
export const places =
  <P>(constructor: string, isPolicy: (value: unknown) => value is P) =>
  <V>(
    path: string,
    value: V | P | false | undefined,
    make?: (value: V, caller: Caller) => P,
    accepts: (value: unknown) => boolean = (value) => isObject(value) || isMade(value)
  ): ReadonlyArray<P> => {
    if (value === undefined || value === false) return []
    if (isPolicy(value)) return [value]
    if (make !== undefined && accepts(value)) return [make(value, { policy: constructor, path })]
    const expected = make === undefined ? "" : "options, an instance, a tag, "
    throw new InvalidOption(constructor, path, value, `${expected}a part, or false`)
  }
