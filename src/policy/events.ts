/**
 * The emitter of a policy. The events of a call go to its listeners, those of an instance to its followers too, and all to the
 * program's observer. An event that nothing wants is never made: `emit.Queued` is absent, and `emit.Queued?.({ ... })` costs a branch.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import { Broadcast } from "../internal/broadcast.js"
import { runningFiber } from "../internal/inside.js"
import { type Listener, notify, notifyShared, type Told } from "../internal/listeners.js"
import { followed } from "../internal/stream.js"
import type * as Observer from "./Observer.js"
import type { Described, Event } from "./Policy.js"

type AnyListener = Listener<Event, unknown, unknown>

type Tagged<E extends Event, Tag extends E["_tag"]> = Extract<E, { readonly _tag: Tag }>

/** The listeners of a policy, named after its events: `Queued` is heard by `onQueued`. */
export type Listeners<E extends Event> = {
  readonly [Tag in E["_tag"] as `on${Tag}`]?: Listener<Tagged<E, Tag>, unknown, unknown> | undefined
}

/** Emits an event, given its own fields. Absent while nothing wants it. */
export type Emit<E extends Event, Told> = {
  readonly [Tag in E["_tag"]]?: (payload: Omit<Tagged<E, Tag>, keyof Event>) => Told
}

/**
 * The events of a policy and, besides the observer, what they reach: `followed` its stream and listener, `heard` its listener,
 * `observed` neither. A forgotten tag does not compile.
 */
export type Tags<E extends Event, Followed extends Event = never> = {
  readonly [Tag in E["_tag"]]: Tag extends Followed["_tag"] ? "followed" : "heard" | "observed"
}

export const observerKey = "effect-resilience/Observer"

/** The observer of a program. An instance looks for it when it is made, a call at an event. */
export const observerIn = (
  context: Pick<Context.Context<never>, "unsafeMap"> | undefined
): Observer.Service | undefined => context?.unsafeMap.get(observerKey) as Observer.Service | undefined

type Source = Pick<Described, "kind" | "name">

/**
 * The emitters of a stateless policy: its listeners belong to the call, and fail it with their errors. An emitter costs one object,
 * since such a policy may be made for each call.
 */
export const ofCall = <E extends Event>(tags: Tags<E>) => {
  class Emitter {
    constructor(
      private readonly source: Source,
      private readonly listeners: object
    ) {}

    toTell(_tag: string, on: string) {
      const { listeners, source } = this
      const listener = listenerAt(listeners, on)
      const observer = observerIn(runningFiber()?.currentContext)
      if (listener === undefined && observer === undefined) return undefined
      return (payload: object) => {
        const event = { _tag, ...source, ...payload }
        observer?.unsafeObserve(event)
        return notify(source.name, listener, event)
      }
    }
  }
  for (const [tag, reach] of Object.entries(tags)) {
    if (reach === "observed") continue
    const on = listenerName(tag)
    Object.defineProperty(Emitter.prototype, tag, {
      get(this: Emitter) {
        return this.toTell(tag, on)
      }
    })
  }
  return (source: Source, listeners: Listeners<E>) =>
    new Emitter(source, listeners) as unknown as Emit<E, Effect.Effect<void, unknown, unknown>>
}

const listenerName = (tag: string): string => `on${tag}`

const listenerAt = (listeners: object, on: string): AnyListener | undefined =>
  (listeners as Record<string, AnyListener | undefined>)[on]

/** The observer of an instance. One that does not ask to be told apart has no `unsafeMade`. */
interface Seeing<in E extends Event>
  extends Pick<Observer.Service, "unsafeLeft">, Partial<Pick<Observer.OfInstance, "unsafeMade">> {
  readonly unsafeObserve: (event: E) => void
}

/** How many events a follower may fall behind before it loses its own oldest. */
const buffer = 64

/** The events of an instance. Its listeners run with its maker's context and fail no call. */
export class Events<E extends Event, Followed extends E = never> {
  emit: Emit<E, Told>
  /** Is shown every event, and told of the instance. Absent where the program has none. */
  readonly observer: Seeing<E> | undefined
  private broadcast: Broadcast<Followed> | undefined

  constructor(
    private readonly source: Source,
    private readonly tags: Tags<E, Followed>,
    private readonly listeners: Listeners<E>,
    private readonly context: Context.Context<unknown>
  ) {
    const observer = observerIn(context)
    this.observer = observer?.unsafeMaking?.(source) ?? observer
    this.emit = this.emitter()
  }

  /** Tells the observer whose events these are. */
  belongTo(instance: Described): void {
    this.observer?.unsafeMade?.(instance)
  }

  private emitter(): Emit<E, Told> {
    const { context, observer } = this
    const { kind, name } = this.source
    const emit: Record<string, (payload: object) => Told> = {}
    for (const [_tag, reach] of Object.entries(this.tags)) {
      if (reach === "observed") continue
      const listener = listenerAt(this.listeners, listenerName(_tag))
      const broadcast = reach === "followed" ? this.broadcast : undefined
      if ((listener ?? observer ?? broadcast) === undefined) continue
      emit[_tag] = (payload) => {
        const event = { _tag, kind, name, ...payload }
        broadcast?.publish(event as unknown as Followed)
        observer?.unsafeObserve(event as unknown as E)
        return listener && Effect.provide(notifyShared(name, listener, event), context)
      }
    }
    return emit as Emit<E, Told>
  }

  /** The followed events, from the moment it runs. */
  get stream(): Stream.Stream<Followed> {
    return followed(() => {
      if (this.broadcast === undefined) {
        this.broadcast = new Broadcast<Followed>(buffer)
        this.emit = this.emitter()
      }
      return this.broadcast.follow()
    })
  }
}
