/**
 * What a policy tells: one emitter between a policy and those who want to know. A call emits to the listener of its policy,
 * and an instance to the followers of its stream and to the program's observer too. An event that nobody can want is never
 * made: its place in the emitter is empty, and `emit.Queued?.({ ... })` costs a branch.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import { Broadcast } from "../internal/broadcast.js"
import { type Listener, notify, notifyShared, type Told } from "../internal/listeners.js"
import { followed } from "../internal/stream.js"
import type { Described, Event } from "./Policy.js"

type AnyListener = Listener<Event, unknown, unknown>

type Tagged<E extends Event, Tag extends E["_tag"]> = Extract<E, { readonly _tag: Tag }>

/** The listeners of a policy, named after its events: `Queued` is heard by `onQueued`. */
export type Listeners<E extends Event> = {
  readonly [Tag in E["_tag"] as `on${Tag}`]?: Listener<Tagged<E, Tag>, unknown, unknown> | undefined
}

/** Tells of an event, given what it says besides where it comes from. Absent while nobody can want it. */
export type Emit<E extends Event, Told> = {
  readonly [Tag in E["_tag"]]?: (payload: Omit<Tagged<E, Tag>, keyof Event>) => Told
}

/** The events of a policy, and which of them its stream carries: a tag that is forgotten does not compile. */
export type Tags<E extends Event, Followed extends Event = never> = {
  readonly [Tag in E["_tag"]]: Tag extends Followed["_tag"] ? "followed" : "heard"
}

/** Sees every event of a program, synchronously, so it can neither delay a call nor fail it. */
interface Observer {
  readonly unsafeObserve: (event: Event) => void
}

type Source = Pick<Described, "kind" | "name">

const emitOf = <E extends Event, Told>(
  { kind, name }: Source,
  tags: ReadonlyArray<string>,
  listeners: object,
  tellOf: (tag: string, listener: AnyListener | undefined) => ((event: Event) => Told) | undefined
): Emit<E, Told> => {
  const emit: Record<string, (payload: object) => Told> = {}
  for (const _tag of tags) {
    const tell = tellOf(_tag, (listeners as Record<string, AnyListener | undefined>)[`on${_tag}`])
    if (tell !== undefined) emit[_tag] = (payload) => tell({ _tag, kind, name, ...payload })
  }
  return emit as Emit<E, Told>
}

/** The emitter of a policy that is no instance: its listeners belong to the call, and fail it with their errors. */
export const ofCall = <E extends Event>(
  source: Source,
  tags: Tags<E>,
  listeners: Listeners<E>
): Emit<E, Effect.Effect<void, unknown, unknown>> =>
  emitOf(
    source,
    Object.keys(tags),
    listeners,
    (_tag, listener) => listener && ((event) => notify(source.name, listener, event))
  )

/** How many events a follower may fall behind before it loses its own oldest. */
const buffer = 64

/** The events of an instance. Its listeners get the context of those who made it, and no call fails with their errors. */
export class Events<E extends Event, Followed extends E = never> {
  readonly emit: Emit<E, Told>
  private broadcast: Broadcast<Followed> | undefined
  private readonly observer: Observer | undefined = undefined

  constructor(
    source: Source,
    tags: Tags<E, Followed>,
    listeners: Listeners<E>,
    context: Context.Context<unknown>
  ) {
    this.emit = emitOf(source, Object.keys(tags), listeners, (tag, listener) => {
      const isFollowed = tags[tag as E["_tag"]] === "followed"
      if (listener === undefined && this.observer === undefined && !isFollowed) return undefined
      return (event) => {
        if (isFollowed) this.broadcast?.publish(event as Followed)
        this.observer?.unsafeObserve(event)
        return listener && Effect.provide(notifyShared(source.name, listener, event), context)
      }
    })
  }

  /** The followed events from the moment in which it is run. */
  get stream(): Stream.Stream<Followed> {
    return followed(() => (this.broadcast ??= new Broadcast<Followed>(buffer)).follow())
  }
}
