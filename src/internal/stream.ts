/**
 * Streams without the module `effect/Stream`, which takes half as long to load as `effect/Effect` and is useless to a program that
 * follows no events. A stream is a channel, and a channel is an effect or one of a few instructions, of which four are
 * made here. They are private to Effect and known in this file alone; test/internal/stream.test.ts compares these streams with those
 * that the module makes.
 */
import * as Chunk from "effect/Chunk"
import type * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pipeable from "effect/Pipeable"
import * as Predicate from "effect/Predicate"
import type * as Stream from "effect/Stream"

type AnyChannel = Channel.Channel<Chunk.Chunk<unknown>, unknown, unknown, unknown, unknown, unknown, unknown>

const StreamTypeId: Stream.StreamTypeId = /*#__PURE__*/ Symbol.for("effect/Stream") as Stream.StreamTypeId
const ChannelTypeId: Channel.ChannelTypeId = /*#__PURE__*/ Symbol.for(
  "effect/Channel"
) as Channel.ChannelTypeId

class Instruction {
  readonly [ChannelTypeId] = Effect.never[ChannelTypeId]
  readonly pipe = Pipeable.Prototype.pipe
  constructor(
    readonly _tag: string,
    fields: object
  ) {
    Object.assign(this, fields)
  }
}

const instruction = (tag: string, fields: object): AnyChannel => new Instruction(tag, fields)

const emit = (out: Chunk.Chunk<unknown>): AnyChannel => instruction("Emit", { out })

const suspend = (channel: () => AnyChannel): AnyChannel => instruction("Suspend", { channel })

const ensuring = (channel: AnyChannel, finalizer: () => Effect.Effect<void>): AnyChannel =>
  instruction("Ensuring", { channel, finalizer })

const flatMap = <A>(
  channel: Effect.Effect<A, unknown, unknown> | AnyChannel,
  onSuccess: (value: A) => AnyChannel
): AnyChannel => {
  const onHalt = Effect.failCause
  const onExit = Exit.match({ onFailure: onHalt, onSuccess })
  return instruction("Fold", { channel, k: { _tag: "ContinuationK", onSuccess, onHalt, onExit } })
}

class Made<out A, out E, out R> implements Stream.Stream<A, E, R> {
  readonly [StreamTypeId] = Effect.never[StreamTypeId]
  readonly pipe = Pipeable.Prototype.pipe
  constructor(readonly channel: AnyChannel) {}
}

/** A follower of a stream: what comes next, and how to stop following. */
export interface Follower<out A> {
  readonly take: Effect.Effect<Chunk.Chunk<A>>
  close(): void
}

/** Everything that a follower takes, from the moment the stream runs. */
export const followed = <A>(open: () => Follower<A>): Stream.Stream<A> => {
  const loop = (take: Effect.Effect<Chunk.Chunk<A>>): AnyChannel =>
    flatMap(take, (events) => flatMap(emit(events), () => loop(take)))
  return new Made(
    suspend(() => {
      const follower = open()
      return ensuring(loop(follower.take), () => Effect.sync(() => follower.close()))
    })
  )
}

/** `Stream.unwrap` */
export const unwrap = <A, E, R>(
  effect: Effect.Effect<Stream.Stream<A, E, R>, E, R>
): Stream.Stream<A, E, R> => new Made(flatMap(effect, channelOf))

/** `Stream.toChannel`. An effect is a stream too, of one value. */
const channelOf = (stream: object): AnyChannel =>
  Predicate.hasProperty(stream, "channel")
    ? (stream.channel as AnyChannel)
    : flatMap(stream as Effect.Effect<unknown>, (value) => emit(Chunk.of(value)))
