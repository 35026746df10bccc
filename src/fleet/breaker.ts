/** A circuit breaker's part in a fleet, bound to the exchange of its process. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Struct from "effect/Struct"
import type * as CircuitBreaker from "../circuitBreaker/CircuitBreaker.js"
import type * as Circuit from "../core/circuit.js"
import * as core from "../core/fleet/breaker.js"
import type { Announcement, Report, View } from "../core/fleet/table.js"
import { among, defined, InvalidOption, object, type Shape, whole } from "../core/options.js"
import * as Trip from "../core/trip.js"
import type { DurationInput } from "../internal/duration.js"
import type * as Policy from "../policy/Policy.js"
import type { Hub, Member } from "./hub.js"
import { SharedStore } from "./SharedStore.js"
import type { StoreUnavailable } from "./storeUnavailable.js"

/** The options of `Share.local`. */
export interface LocalOptions {
  /**
   * How many processes must have seen failures for the circuit to open for all. Default: 2, so that one bad node opens only its own
   * circuit. When fewer processes live, all of them.
   */
  readonly quorum?: number | undefined
}

const shape: Shape<LocalOptions> = { quorum: whole(1) }

const defaultQuorum = 2

export const local = (
  options: LocalOptions = {}
): ((breaker: CircuitBreaker.Shareable) => Effect.Effect<CircuitBreaker.Link, never, SharedStore>) => {
  object("Share.local", "", options, shape)
  const { quorum = defaultQuorum } = options
  return (breaker) =>
    Effect.map(SharedStore, ({ hub, isConnected }) => {
      const link = new LocalLink(breaker, hub, isConnected, quorum)
      hub.join(link)
      return link
    })
}

/** What a call does when the store does not answer. */
export type OnStoreFailure = "local" | "open" | "closed" | "fail"

/** The options of `Share.inline`. */
export interface InlineOptions<Mode extends OnStoreFailure = OnStoreFailure> {
  /**
   * What a call does when the store does not answer: it meets the circuit of its process (`"local"`), is rejected with `CircuitOpen`
   * (`"open"`), runs uncounted (`"closed"`), or fails with `StoreUnavailable` (`"fail"`), which is then an error of its type. Default:
   * `"local"`.
   */
  readonly onStoreFailure?: Mode | undefined
}

const inlineShape: Shape<InlineOptions> = { onStoreFailure: among("local", "open", "closed", "fail") }

/** The error that a mode adds to calls. */
export type AwayIn<Mode extends OnStoreFailure> = Mode extends "fail" ? StoreUnavailable : never

export const inline = <Mode extends OnStoreFailure = "local">(
  options: InlineOptions<Mode> = {}
): ((
  breaker: CircuitBreaker.Shareable
) => Effect.Effect<CircuitBreaker.Link<AwayIn<Mode>>, never, SharedStore>) => {
  object("Share.inline", "", options, inlineShape)
  const { onStoreFailure = "local" } = options
  return (breaker) =>
    Effect.map(SharedStore, ({ hub, isConnected }) => {
      const link = new InlineLink<AwayIn<Mode>>(breaker, hub, isConnected, onStoreFailure)
      hub.join(link)
      return link
    })
}

/** A breaker's part in the exchange of its process. While the store is away, the circuit of the process is all there is. */
abstract class SharedLink implements Member {
  abstract readonly settings: Policy.Settings
  protected readonly part: core.Part
  /** The settings that were changed since the breakers of the fleet were made. */
  private changes: Changes = {}
  /** The names of those that this process has changed. */
  private readonly own = new Set<keyof Changes>()

  constructor(
    private readonly breaker: CircuitBreaker.Shareable,
    protected readonly hub: Hub,
    protected readonly isConnected: () => boolean,
    quorum: number
  ) {
    this.part = new core.Part(breaker.name, quorum)
  }

  get id(): string {
    return this.part.id
  }

  // ------------------------------------------------------------------------------------------------------- the breaker

  check(config: Circuit.Config, given: CircuitBreaker.Reconfiguration | undefined, policy: string): void {
    if (Trip.slowness(config.trip).size > 1) {
      const expected = 'rules with one "slowerThan", for a breaker that is shared'
      throw new InvalidOption(policy, "trip", config.trip, expected)
    }
    const { openFor } = given ?? {}
    if (openFor !== undefined && !isDuration(openFor)) {
      throw new InvalidOption(policy, "openFor", openFor, "a duration, for a breaker that is shared")
    }
  }

  counted(isSlow: boolean): void {
    if (isSlow) this.part.slow()
    this.hub.nudge()
  }

  changed(transition: Circuit.Transition, by: "calls" | "hand" | "fleet"): void {
    if (this.part.changed(transition, by)) this.hub.wake()
  }

  configured(given: CircuitBreaker.Reconfiguration): void {
    const changes = changesOf(given)
    for (const name of namesOf(changes)) this.own.add(name)
    this.send({ ...this.changes, ...changes })
  }

  private send(changes: Changes): void {
    this.changes = changes
    this.part.configured(encode(changes))
    this.hub.wake()
  }

  admits(now: number): boolean {
    if (!this.part.isLeased || !this.isConnected() || this.part.mayProbe(now)) return true
    if (this.part.knock()) this.hub.wake()
    return false
  }

  began(permit: Circuit.Permit, now: number): void {
    this.part.began(permit, now)
  }

  ended(permit: Circuit.Permit, outcome: "success" | "failure" | "returned"): void {
    if (this.part.ended(permit, outcome)) this.hub.wake()
  }

  // ---------------------------------------------------------------------------------------------------------- the fleet

  report(now: number): Report | undefined {
    return this.part.report(this.breaker.config, this.breaker.circuit, now)
  }

  heard(view: View, now: number, continues: boolean): void {
    const { circuit, config } = this.breaker
    const { instances } = this.hub
    this.follow(this.part.heard(config, circuit, view, now, { continues, instances }))
  }

  announced(announcement: Announcement, now: number): void {
    const { circuit, config } = this.breaker
    this.follow(this.part.announced(config, circuit, announcement, now))
  }

  private follow({ isUrgent, settings, step }: core.Heard): void {
    const told = step && this.breaker.follow(step)
    if (told !== undefined) this.hub.tell(told)
    if (settings !== undefined) this.hub.tell(this.followSettings(settings))
    if (isUrgent) this.hub.wake()
  }

  /** What another process sends may come from another release, and may not fit the settings of this one. */
  private followSettings(text: string): Effect.Effect<void> {
    return Effect.catchAllCause(
      Effect.suspend(() => {
        const changes = decode(text)
        return Effect.map(this.breaker.followSettings(settingsOf(changes)), () => this.followed(changes))
      }),
      (cause) =>
        Effect.logWarning(
          "settings of another process do not fit those of this one, and are not taken",
          cause
        )
    )
  }

  /** Nothing is ever taken out of the changes: a process whose own are missing was not heard by the sender. */
  private followed(changes: Changes): void {
    const missing = [...this.own].filter((name) => !(name in changes))
    if (missing.length === 0) this.changes = changes
    else this.send({ ...changes, ...Struct.pick(this.changes, ...missing) })
  }
}

class LocalLink extends SharedLink implements CircuitBreaker.Link {
  readonly settings: Policy.Settings
  readonly mayOpen = true

  constructor(breaker: CircuitBreaker.Shareable, hub: Hub, isConnected: () => boolean, quorum: number) {
    super(breaker, hub, isConnected, quorum)
    this.settings = { mode: "local", quorum }
  }
}

/** Asks the store in every call: the calls of all processes are counted as if they were those of one. */
class InlineLink<Away extends StoreUnavailable> extends SharedLink implements CircuitBreaker.Link<Away> {
  readonly settings: Policy.Settings
  readonly before: Effect.Effect<"circuit" | "open" | "uncounted", Away>
  readonly after: Effect.Effect<void>

  constructor(
    breaker: CircuitBreaker.Shareable,
    hub: Hub,
    isConnected: () => boolean,
    onStoreFailure: OnStoreFailure
  ) {
    super(breaker, hub, isConnected, 1)
    this.settings = { mode: "inline", onStoreFailure }
    const ask = Effect.suspend(() => {
      this.part.ask()
      return hub.ask
    })
    this.before = Effect.matchEffect(ask, {
      onSuccess: () => Effect.succeed("circuit" as const),
      onFailure: (error): Effect.Effect<"circuit" | "open" | "uncounted", Away> => {
        if (onStoreFailure === "fail") return Effect.fail(error as Away)
        const met = { local: "circuit", open: "open", closed: "uncounted" } as const
        return Effect.succeed(met[onStoreFailure])
      }
    })
    // What the answer has decided is to be known to the store before the next call of any process.
    const decided = Effect.suspend(() => (this.part.isWishing ? hub.ask : Effect.void))
    this.after = Effect.ignore(Effect.zipRight(ask, decided))
  }

  get mayOpen(): boolean {
    return !this.isConnected()
  }
}

// ------------------------------------------------------------------------------------------------- settings as text

/** Settings that were changed, on one level with those of the half-open circuit. */
type Changes = Omit<CircuitBreaker.Settings, "name" | "halfOpen"> & CircuitBreaker.HalfOpenOptions

const namesOf = (changes: Changes) => Object.keys(changes) as Array<keyof Changes>

/** A link has checked that `openFor` is a duration. */
const changesOf = ({ halfOpen, ...settings }: CircuitBreaker.Reconfiguration): Changes =>
  defined({ ...settings, ...halfOpen }) as Changes

const settingsOf = ({ maxOpenFor, openFor, trip, ...halfOpen }: Changes): CircuitBreaker.Reconfiguration => ({
  trip,
  openFor,
  maxOpenFor,
  halfOpen
})

const isDuration = (openFor: NonNullable<CircuitBreaker.Reconfiguration["openFor"]>): boolean =>
  typeof openFor === "object"
    ? Duration.isDuration(openFor) || Array.isArray(openFor)
    : typeof openFor !== "function"

/** A duration in milliseconds; JSON knows no endless one. */
const millisOf = (duration: DurationInput | undefined): number | "infinite" | undefined => {
  if (duration === undefined) return undefined
  const millis = Duration.toMillis(duration)
  return millis === Infinity ? "infinite" : millis
}

const durationOf = (millis: unknown): DurationInput | undefined =>
  millis === "infinite" ? Infinity : (millis as number | undefined)

const encode = ({
  maxOpenFor,
  maxWait,
  openFor,
  permits,
  successes,
  trip,
  uninterruptible
}: Changes): string =>
  JSON.stringify({
    trip,
    openFor: millisOf(openFor),
    maxOpenFor: millisOf(maxOpenFor),
    permits,
    successes,
    maxWait: millisOf(maxWait),
    uninterruptible
  })

/** Leaves out settings of a newer release that this one does not know. The breaker checks the others. */
const decode = (text: string): Changes => {
  const { maxOpenFor, maxWait, openFor, permits, successes, trip, uninterruptible } = JSON.parse(
    text
  ) as Changes
  return defined({
    trip,
    openFor: durationOf(openFor),
    maxOpenFor: durationOf(maxOpenFor),
    permits,
    successes,
    maxWait: durationOf(maxWait),
    uninterruptible
  })
}
