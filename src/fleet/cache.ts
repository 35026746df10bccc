/** The second level of a cache: values in the shared store, and one lookup for a key at a time in the whole fleet. */
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as ParseResult from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import type * as Cache from "../cache/Cache.js"
import { search } from "../cache/secondLevel.js"
import * as Backoff from "../core/backoff.js"
import { type Check, InvalidOption, object, type Shape } from "../core/options.js"
import { withoutSpan } from "../internal/context.js"
import { duration, type DurationInput, optionMillis } from "../internal/duration.js"
import type { Body } from "../internal/erased.js"
import { quoted } from "../internal/quoted.js"
import { stepBackoff } from "../internal/schedule.js"
import * as Time from "../internal/time.js"
import type * as Policy from "../policy/Policy.js"
import { randomName } from "./names.js"
import { type Service, SharedStore, type StoreUnavailable } from "./SharedStore.js"

/** The options of `Share.values`. */
export interface ValuesOptions<A, I, R> {
  /** How a value is encoded in the store, as JSON. */
  readonly value: Schema.Schema<A, I, R>
  /**
   * How long a process may take for a lookup. After that another process takes over, since the first may have died. Longer than any
   * lookup takes. Default: 10 seconds.
   */
  readonly lease?: DurationInput | undefined
  /** How long the store keeps a value at most, whatever the options of the cache say. Default: 1 day. */
  readonly maxTimeToLive?: DurationInput | undefined
}

/** The same for a cache whose keys are not strings. */
export interface KeyedValuesOptions<A, I, R, Key> extends ValuesOptions<A, I, R> {
  /** What a key is called in the store: a function to a string, or a schema whose encoding is taken as JSON. */
  readonly key: Key
}

/** What both come to once they are checked, and their types erased. */
interface Options {
  readonly value: AnySchema
  readonly key?: ((key: unknown) => unknown) | AnySchema
  readonly lease?: DurationInput | undefined
  readonly maxTimeToLive?: DurationInput | undefined
}

type AnySchema = Schema.Schema<unknown, unknown, unknown>

const schema: Check = (policy, option, value) => {
  if (!isSchema(value)) throw new InvalidOption(policy, option, value, "a Schema")
}

/** Schemas are values of the user's; nothing here loads the module. */
const isSchema = (value: unknown): value is AnySchema =>
  Predicate.hasProperty(value, Symbol.for("effect/Schema")) && Predicate.hasProperty(value, "ast")

const shape: Shape<Options> = {
  value: schema,
  key: (policy, option, value) => {
    if (typeof value !== "function" && !isSchema(value)) {
      throw new InvalidOption(policy, option, value, "a Schema or a function to a string")
    }
  },
  lease: duration(),
  maxTimeToLive: duration()
}

const caller = "Share.values"

export const values = (
  options: Options
): ((cache: Cache.Shareable) => Effect.Effect<Cache.Link<unknown, unknown>, never, unknown>) => {
  object(caller, "", options, shape)
  schema(caller, "value", options.value)
  const lease = optionMillis(caller, "lease", options.lease ?? "10 seconds")
  const maxTimeToLive = optionMillis(caller, "maxTimeToLive", options.maxTimeToLive ?? "1 day")
  return ({ name }) =>
    Effect.gen(function* () {
      const codec = new Codec(name, options, withoutSpan(yield* Effect.context<unknown>()))
      return new CacheLink(codec, yield* SharedStore, yield* randomName, lease, maxTimeToLive)
    })
}

// -------------------------------------------------------------------------------------------------------------- codec

/** A value as it stands in the store. */
interface Envelope {
  readonly took: number
  readonly value: unknown
}

/** Keys and values as texts. What has none is reported once for each kind, and goes without the store. */
class Codec {
  private readonly reported = new Set<string>()

  constructor(
    private readonly name: string,
    private readonly options: Options,
    private readonly context: Context.Context<unknown>
  ) {}

  /** Keys of caches with different names do not meet, whatever either is. */
  key(key: unknown): Effect.Effect<string | undefined> {
    const { options } = this
    const text = Effect.suspend(() => {
      if (isSchema(options.key)) return Effect.map(ParseResult.encode(options.key)(key), JSON.stringify)
      return Effect.succeed(options.key === undefined ? key : options.key(key))
    })
    const isText = Effect.filterOrFail(text, Predicate.isString, () => "no string")
    const named = Effect.map(isText, (text) => JSON.stringify([this.name, text]))
    return this.orUndefined(named, "a key of", "cannot be encoded, so it is not shared")
  }

  encode(value: unknown, took: number): Effect.Effect<string | undefined> {
    const encoded = Effect.suspend(() => ParseResult.encode(this.options.value)(value))
    const text = Effect.map(encoded, (value) => JSON.stringify({ took, value } satisfies Envelope))
    return this.orUndefined(text, "a value of", "cannot be encoded, so it is not shared")
  }

  decode(text: string): Effect.Effect<Envelope | undefined> {
    const decoded = Effect.suspend(() => {
      const { took, value } = JSON.parse(text) as Partial<Envelope>
      return Effect.map(ParseResult.decodeUnknown(this.options.value)(value), (value) => ({
        took: Number.isFinite(took) ? Math.max(0, Number(took)) : 0,
        value
      }))
    })
    return this.orUndefined(
      decoded,
      "a shared value of",
      "cannot be decoded, so it is looked up again; is it of another release?"
    )
  }

  private orUndefined<A>(
    self: Effect.Effect<A, unknown, unknown>,
    what: string,
    problem: string
  ): Effect.Effect<A | undefined> {
    return Effect.catchAllCause(Effect.provide(self, this.context), (cause) => {
      if (this.reported.has(what)) return Effect.succeed(undefined)
      this.reported.add(what)
      const message = `${what} ${quoted(this.name)} ${problem}`
      return Effect.as(Effect.logWarning(message, cause), undefined)
    })
  }
}

// --------------------------------------------------------------------------------------------------------------- link

/** How often a process looks whether another one has found the value. */
const polling: Backoff.Config = {
  growth: { _tag: "exponential", base: 20, factor: 1.5 },
  jitter: { _tag: "equal" },
  max: 500
}

/** How long a value is kept for calls that wait for it, even where it is too old for later ones. */
const forWaiting = 2 * polling.max

/** How many leases a process waits for. A process whose lookup failed says so, and the next tries: those may be many. */
const maxLeases = 2

/** How many keys are remembered for the leases on them that the store may think are held. */
const maxLost = 1000

type AnySought<R> = Cache.Sought<unknown, unknown, unknown, R>
type AnyBrought = Cache.Brought<unknown, unknown>
type Publish = (exit: Exit.Exit<unknown, unknown>, took: number) => AnyBrought["publish"]

const nothing = () => Effect.succeed(true)

class CacheLink implements Cache.Link<unknown, unknown> {
  readonly settings: Policy.Settings
  readonly counts = { fromStore: 0 }
  /** What the store got before was changed by hand in a way that it did not hear of. */
  private changedAt = -Infinity
  private searches = 0
  /** The holders of leases whose end the store may not have heard of, by key. */
  private readonly lost = new Map<string, string>()

  constructor(
    private readonly codec: Codec,
    private readonly store: Service,
    private readonly process: string,
    private readonly lease: number,
    private readonly maxTimeToLive: number
  ) {
    this.settings = { lease: Duration.millis(lease), maxTimeToLive: Duration.millis(maxTimeToLive) }
  }

  // ------------------------------------------------------------------------------------------------------------ finding

  search(...given: Parameters<Cache.Link<unknown, unknown>["search"]>): Body {
    return search(this, ...given)
  }

  get find() {
    return <E, R>(
      sought: Cache.Sought<unknown, unknown, E, R>
    ): Effect.Effect<Cache.Brought<unknown, E>, never, R> =>
      Effect.flatMap(Effect.clock, (clock) => this.look(sought, clock)) as Effect.Effect<
        Cache.Brought<unknown, E>,
        never,
        R
      >
  }

  private look<R>(sought: AnySought<R>, clock: Clock.Clock): Effect.Effect<AnyBrought, never, R> {
    const { codec, lease: timeToLive, maxTimeToLive, store } = this
    const now = () => Time.monotonicMillis(clock)
    const startedAt = now()
    return Effect.gen(this, function* () {
      const named = yield* Effect.exit(Effect.interruptible(codec.key(sought.key)))
      if (Exit.isFailure(named)) return ended(named)
      const key = named.value
      if (key === undefined) return yield* lookUp(sought, now, () => nothing)
      const holder = this.lost.get(key) ?? `${this.process}/${++this.searches}`
      this.lost.delete(key)
      const release = this.heard(key, holder, Effect.as(store.release(key, holder), true))

      /** A value that was stored since then counts at any age, as it does for all calls that wait for a lookup. */
      let since = startedAt
      let { newerThan } = sought
      let hasOffered = false
      let backoff = Backoff.initial(polling)
      while (now() - startedAt < maxLeases * timeToLive) {
        const at = now()
        const fresh = Math.min(sought.freshFor, at - Math.max(newerThan, this.changedAt))
        const staleAfter = Math.min(Math.max(0, at - since, fresh), maxTimeToLive)
        const read = yield* Effect.either(store.read({ key, holder, staleAfter, timeToLive }))
        // Its answer may be lost, and the lease with it.
        if (Either.isLeft(read)) return yield* lookUp(sought, now, () => () => release)

        const { busyFor, found, lease } = read.right
        const isFresh = lease === undefined && busyFor === 0
        if (found !== undefined && (isFresh || !hasOffered)) {
          const { age } = found
          const decoded = yield* Effect.exit(Effect.interruptible(codec.decode(found.value)))
          if (Exit.isFailure(decoded)) {
            if (lease !== undefined) yield* release
            return ended(decoded)
          }
          const { took, value } = decoded.value ?? { took: 0, value: undefined }
          const isUsable = decoded.value !== undefined && at - age > this.changedAt
          if (isUsable && isFresh && (age < at - since || sought.isFresh(value, age))) {
            return { exit: Exit.succeed(value), age, took, publish: nothing }
          }
          if (isUsable && !hasOffered) sought.offer(value, age, took)
          hasOffered = true
          if (isFresh) {
            // Undecodable, or too old by the cache's own rule.
            since = newerThan = now()
            continue
          }
        }
        if (lease !== undefined)
          return yield* lookUp(sought, now, this.publishing(key, holder, lease, release))

        const step = yield* stepBackoff(polling, backoff)
        backoff = step.state
        const waited = yield* Effect.exit(
          Effect.interruptible(Time.sleep(Math.max(1, Math.ceil(Math.min(step.delay ?? 0, busyFor)))))
        )
        if (Exit.isFailure(waited)) return ended(waited)
      }
      return yield* lookUp(sought, now, () => nothing)
    })
  }

  private publishing(key: string, holder: string, lease: number, release: Effect.Effect<boolean>): Publish {
    return (exit, took) => (keptFor) => {
      if (keptFor === undefined || Exit.isFailure(exit)) return release
      const timeToLive = this.bounded(Math.max(keptFor, forWaiting))
      return Effect.flatMap(this.encoded(exit.value, took), (value) =>
        value === undefined
          ? release
          : this.heard(key, holder, this.store.write({ key, lease, value, timeToLive }))
      )
    }
  }

  /** The end of a lease. If the store does not hear of it, the next search for the key in this process takes the lease over. */
  private heard(
    key: string,
    holder: string,
    told: Effect.Effect<boolean, StoreUnavailable>
  ): Effect.Effect<boolean> {
    return Effect.catchAll(told, () => {
      for (const oldest of this.lost.keys()) {
        if (this.lost.size < maxLost) break
        this.lost.delete(oldest)
      }
      this.lost.set(key, holder)
      return Effect.succeed(true)
    })
  }

  /** An encoding is the user's code, and can be interrupted even where a lookup is brought to its end. */
  private encoded(value: unknown, took: number): Effect.Effect<string | undefined> {
    return Effect.orElseSucceed(
      Effect.sandbox(Effect.interruptible(this.codec.encode(value, took))),
      () => undefined
    )
  }

  private bounded(timeToLive: number): number {
    return Math.min(timeToLive, this.maxTimeToLive)
  }

  // ------------------------------------------------------------------------------------------------------------ by hand

  get set() {
    return (key: unknown, value: unknown, keptFor: number | undefined): Effect.Effect<void> =>
      keptFor === undefined
        ? this.change(key, Effect.succeed(undefined), 0)
        : this.change(key, this.codec.encode(value, 0), this.bounded(keptFor))
  }

  get invalidate() {
    return (key: unknown, forget: Effect.Effect<void>): Effect.Effect<void> =>
      // Once more at the end, because a call may find what the store has until then.
      Effect.zipRight(forget, Effect.ensuring(this.change(key, Effect.succeed(undefined), 0), forget))
  }

  get invalidateAll(): Effect.Effect<void> {
    return Effect.map(Effect.clock, (clock) => {
      this.changedAt = Time.monotonicMillis(clock)
    })
  }

  /** Where the store does not hear of it, what it has is of no use to this process any more. */
  private change(
    key: unknown,
    value: Effect.Effect<string | undefined>,
    timeToLive: number
  ): Effect.Effect<void> {
    const changed = Effect.flatMap(Effect.all([this.codec.key(key), value]), ([key, value]) =>
      key === undefined ? Effect.void : this.store.write({ key, lease: undefined, value, timeToLive })
    )
    return Effect.onExit(changed, (exit) => (Exit.isFailure(exit) ? this.invalidateAll : Effect.void)).pipe(
      Effect.ignore
    )
  }
}

/** A lookup in this process. */
const lookUp = <R>(
  { lookup }: AnySought<R>,
  now: () => number,
  publish: Publish
): Effect.Effect<AnyBrought, never, R> =>
  Effect.suspend(() => {
    const startedAt = now()
    return Effect.map(Effect.exit(Effect.interruptible(lookup)), (exit) => {
      const took = now() - startedAt
      return { exit, age: 0, took, publish: publish(exit, took) }
    })
  })

/** An interruption while nothing is held. */
const ended = (exit: Exit.Exit<unknown>): AnyBrought => ({ exit, age: 0, took: 0, publish: nothing })
