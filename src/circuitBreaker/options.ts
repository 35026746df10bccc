/** The options of a circuit breaker: checks, defaults, and the form that the rule takes. */
import * as Duration from "effect/Duration"
import type * as CircuitBreaker from "./CircuitBreaker.js"
import type * as Circuit from "../core/circuit.js"
import {
  callable,
  type Caller,
  defined,
  flag,
  integer,
  InvalidOption,
  object,
  onBehalfOf,
  type Shape,
  text,
  whereRead,
  whole
} from "../core/options.js"
import * as Trip from "../core/trip.js"
import type * as Policy from "../policy/Policy.js"
import { duration, optionMillis } from "../internal/duration.js"
import { nameOf } from "../policy/define.js"
import * as OpenFor from "./openFor.js"
import { checkSnapshot } from "./snapshot.js"
import { shown } from "./tripSettings.js"

export const constructorName = "CircuitBreaker.make"

export const kind = "circuit-breaker"

export class Configured {
  private shown: Policy.Settings | undefined

  constructor(
    readonly name: string,
    readonly config: Circuit.Config,
    readonly openFor: OpenFor.OpenFor,
    readonly uninterruptible: boolean
  ) {}

  /** The settings as a policy shows them. Worked out on demand: they would be half the weight of an idle breaker. */
  get settings(): Policy.Settings {
    return (this.shown ??= settingsOf(this))
  }

  /** The same options with an `openFor` that is already in use. */
  withOpenFor(openFor: OpenFor.OpenFor): Configured {
    const config = { ...this.config, openFor: openFor.millis }
    return new Configured(this.name, config, openFor, this.uninterruptible)
  }
}

/** The trip rule when none is given: a rate for a busy service, a row for a quiet one. */
const defaultTrip = Trip.any([
  Trip.consecutive(10),
  Trip.failureRate({ threshold: 0.5, minimumCalls: 20, window: { within: 30_000 } })
])

const defaultMaxWait = Duration.seconds(30)

const listeners: Shape<CircuitBreaker.Listeners> = {
  onSuccess: callable,
  onFailure: callable,
  onOpen: callable,
  onHalfOpen: callable,
  onClose: callable,
  onStateChange: callable,
  onRejected: callable,
  onConfigured: callable
}

/** What is given besides settings from the configuration. */
export const given: Shape<CircuitBreaker.Given<unknown>> = { share: callable, ...listeners }

const halfOpenShape: Shape<CircuitBreaker.HalfOpenOptions> = {
  permits: whole(1),
  successes: (policy, option, value) => {
    if (typeof value === "number") integer(policy, option, value, 1)
    else object(policy, option, value, { count: whole(1), of: whole(1) })
  },
  maxWait: duration({ infinite: true }),
  uninterruptible: flag
}

export const shape: Shape<CircuitBreaker.Options<unknown>> = {
  name: text,
  trip: (policy, option, value) => void Trip.checked(policy, option, value as Trip.Trip),
  openFor: whereRead,
  maxOpenFor: duration(),
  halfOpen: (policy, option, value) => object(policy, option, value, halfOpenShape),
  initial: whereRead,
  ...given
}

export const configure = (
  options: CircuitBreaker.Options<unknown>,
  defaultName: string,
  caller?: Caller
): Configured => onBehalfOf(caller, constructorName, () => read(options, defaultName))

const changeable: Shape<CircuitBreaker.Reconfiguration> = {
  trip: shape.trip,
  openFor: shape.openFor,
  maxOpenFor: shape.maxOpenFor,
  halfOpen: shape.halfOpen
}

/** The options with some of the settings changed, and what they come to. Throws an `InvalidOption` for the first bad one. */
export const reconfigure = (
  options: CircuitBreaker.Options<unknown>,
  given: CircuitBreaker.Reconfiguration,
  name: string
): { readonly options: CircuitBreaker.Options<unknown>; readonly configured: Configured } => {
  const policy = "CircuitBreaker.configure"
  object(policy, "", given, changeable)
  const merged = {
    ...options,
    ...defined(given),
    initial: undefined,
    halfOpen: { ...options.halfOpen, ...defined(given.halfOpen ?? {}) }
  }
  return { options: merged, configured: configure(merged, name, { policy }) }
}

const read = (options: CircuitBreaker.Options<unknown>, defaultName: string): Configured => {
  object(constructorName, "", options, shape)
  const name = nameOf(constructorName, defaultName, options.name)
  // All that are not named would be one breaker.
  if (options.share !== undefined && (name === kind || name.startsWith(`${kind}/`))) {
    throw new InvalidOption(
      constructorName,
      "name",
      options.name,
      'given, for the breakers of a fleet with "share"'
    )
  }
  if (options.initial !== undefined) checkSnapshot(constructorName, options.initial)
  const openFor = OpenFor.make(constructorName, options)
  const halfOpen = options.halfOpen ?? {}
  const successes = halfOpen.successes ?? 1
  const { count, of } = typeof successes === "number" ? { count: successes, of: successes } : successes
  const inParts = typeof successes !== "number"
  integer(constructorName, inParts ? "halfOpen.successes.count" : "halfOpen.successes", count, 1)
  integer(constructorName, "halfOpen.successes.of", of, 1)
  if (count > of) {
    const expected = `at most "halfOpen.successes.of" (${of})`
    throw new InvalidOption(constructorName, "halfOpen.successes.count", count, expected)
  }
  const { maxWait = defaultMaxWait, permits = 1 } = halfOpen
  const config: Circuit.Config = {
    trip: options.trip ?? defaultTrip,
    openFor: openFor.millis,
    halfOpen: {
      permits: integer(constructorName, "halfOpen.permits", permits, 1),
      successes: count,
      of,
      maxWait: optionMillis(constructorName, "halfOpen.maxWait", maxWait, { infinite: true })
    }
  }
  return new Configured(name, config, openFor, halfOpen.uninterruptible ?? false)
}

const settingsOf = ({ config, openFor, uninterruptible }: Configured): Policy.Settings => {
  const { maxWait, of, permits, successes } = config.halfOpen
  return {
    trip: shown(config.trip),
    openFor: openFor.setting,
    halfOpen: {
      permits,
      successes: successes === of ? of : `${successes} of ${of}`,
      maxWait: Duration.millis(maxWait),
      uninterruptible: uninterruptible || undefined
    }
  }
}
