// Streams that are made without the module `effect/Stream`, beside those that it makes.
import { assert, describe, it } from "@effect/vitest"
import {
  Channel,
  Chunk,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Option,
  Queue,
  Schedule,
  Scope,
  Stream,
  TestClock
} from "effect"
import { type Follower, followed, unwrap } from "../../src/internal/stream.js"

/** Streams that look the same from outside, each with what it did. */
interface Made {
  readonly stream: Stream.Stream<number>
  readonly log: ReadonlyArray<string>
}

/** A follower that takes 1, 2, 3, ... in chunks of growing size, a second apart from the fourth chunk on. */
const follower = (log: Array<string>): Follower<number> => {
  let taken = 0
  let next = 1
  log.push("open")
  return {
    take: Effect.suspend(() => {
      const chunk = Chunk.makeBy(++taken, () => next++)
      const ready = Effect.as(
        Effect.sync(() => log.push(`take ${taken}`)),
        chunk
      )
      return taken > 3 ? Effect.delay(ready, "1 second") : ready
    }),
    close: () => log.push("close")
  }
}

const ours = (): Made => {
  const log: Array<string> = []
  return { log, stream: followed(() => follower(log)) }
}

const theirs = (): Made => {
  const log: Array<string> = []
  const opened = Effect.acquireRelease(
    Effect.sync(() => follower(log)),
    (made) => Effect.sync(() => made.close())
  )
  return {
    log,
    stream: Stream.unwrapScoped(Effect.map(opened, ({ take }) => Stream.repeatEffectChunk(take)))
  }
}

type Use = (stream: Stream.Stream<number>) => Effect.Effect<unknown, unknown, Scope.Scope>

const bounded = (stream: Stream.Stream<number>) => Stream.take(stream, 12)

const uses: { readonly [name: string]: Use } = {
  "is run for its first value": Stream.runHead,
  "is collected up to a length": (stream) => Stream.runCollect(bounded(stream)),
  "is collected up to a chunk's end": (stream) => Stream.runCollect(Stream.take(stream, 6)),
  "is followed until it is interrupted": (stream) =>
    Effect.gen(function* () {
      const seen: Array<number> = []
      const fiber = yield* Effect.fork(
        Stream.runForEach(stream, (value) => Effect.sync(() => seen.push(value)))
      )
      yield* TestClock.adjust("90 seconds")
      const exit = yield* Fiber.interrupt(fiber)
      return [seen, Exit.isInterrupted(exit)]
    }),
  "is interrupted before it has begun": (stream) =>
    Effect.map(Effect.flatMap(Effect.fork(Stream.runDrain(stream)), Fiber.interrupt), Exit.isInterrupted),
  "fails further down": (stream) =>
    Effect.exit(
      Stream.runDrain(Stream.mapEffect(stream, (value) => (value > 4 ? Effect.fail(value) : Effect.void)))
    ),
  "dies further down": (stream) =>
    Effect.exit(
      Stream.runDrain(
        Stream.map(stream, (value) => {
          if (value > 4) throw new Error("no")
        })
      )
    ),
  "is mapped, filtered and chunked anew": (stream) =>
    stream.pipe(
      Stream.map((value) => value * 2),
      Stream.filter((value) => value % 3 !== 0),
      Stream.rechunk(4),
      Stream.chunks,
      Stream.take(2),
      Stream.runCollect
    ),
  "is run twice": (stream) =>
    Effect.zip(Stream.runCollect(bounded(stream)), Stream.runCollect(bounded(stream))),
  "is merged with itself": (stream) => Stream.runCount(Stream.merge(bounded(stream), bounded(stream))),
  "stands within a flatMap": (stream) =>
    Stream.runCollect(
      Stream.flatMap(Stream.make("a", "b"), (letter) => Stream.map(Stream.take(stream, 2), (n) => letter + n))
    ),
  "has streams within a flatMap": (stream) =>
    Stream.runCollect(
      Stream.take(
        Stream.flatMap(stream, (value) => Stream.make(value, value)),
        5
      )
    ),
  "is concatenated and scanned": (stream) =>
    Stream.runCollect(
      Stream.scan(Stream.concat(bounded(stream), bounded(stream)), 0, (sum, value) => sum + value)
    ),
  "is zipped": (stream) => Stream.runCollect(Stream.zip(bounded(stream), Stream.make("a", "b", "c"))),
  "is pulled in a scope": (stream) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const pull = yield* Scope.extend(Stream.toPull(stream), scope)
      const chunks = [yield* pull, yield* pull]
      yield* Scope.close(scope, Exit.void)
      return chunks.map(Chunk.toReadonlyArray)
    }),
  "is a queue": (stream) =>
    Effect.flatMap(Stream.toQueueOfElements(bounded(stream)), (queue) =>
      Effect.all([Queue.take(queue), Queue.take(queue)])
    ),
  "is broadcast": (stream) =>
    Effect.flatMap(Stream.broadcast(bounded(stream), 2, 16), (streams) =>
      Effect.all(streams.map(Stream.runCollect), { concurrency: "unbounded" })
    ),
  "is repeated": (stream) => Stream.runCollect(Stream.repeat(Stream.take(stream, 2), Schedule.recurs(2))),
  "is a channel": (stream) => Channel.runCollect(Stream.toChannel(bounded(stream))),
  "is a channel in a pipe": (stream) =>
    Stream.toChannel(stream).pipe(
      Channel.mapOut(Chunk.map((value) => value * 2)),
      Stream.fromChannel,
      bounded,
      Stream.runCollect
    ),
  "is an asynchronous iterable": (stream) =>
    Effect.promise(async () => {
      const seen: Array<number> = []
      for await (const value of Stream.toAsyncIterable(Stream.take(stream, 5))) seen.push(value)
      return seen
    })
}

/** What comes of a use, as plain data, with all of its waiting done. */
const outcome = (use: Use, { log, stream }: Made) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(Effect.scoped(use(stream)))
    for (let turn = 0; turn < 20 && Option.isNone(yield* Fiber.poll(fiber)); turn++)
      yield* TestClock.adjust("1 minute")
    const exit = yield* Fiber.await(fiber)
    return JSON.stringify({ exit, log })
  })

describe("a stream of a follower is the stream that Effect's own constructors make", () => {
  for (const [name, use] of Object.entries(uses)) {
    it.effect(`when it ${name}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* outcome(use, ours()), yield* outcome(use, theirs()))
      })
    )
  }

  it.effect("its follower is there from the moment in which it is run, and gone with it", () =>
    Effect.gen(function* () {
      const { log, stream } = ours()
      assert.deepStrictEqual(log, [])
      const latch = yield* Deferred.make<void>()
      const fiber = yield* Effect.fork(Stream.runForEach(stream, () => Deferred.succeed(latch, undefined)))
      yield* Deferred.await(latch)
      assert.strictEqual(log[0], "open")
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(log.at(-1), "close")
    })
  )
})

describe("a stream that an effect gives", () => {
  const inners: { readonly [name: string]: Stream.Stream<number, string> } = {
    "a stream of values": Stream.make(1, 2, 3),
    "a stream that fails": Stream.concat(Stream.make(1), Stream.fail("no")),
    "an effect": Effect.succeed(1),
    "an effect that fails": Effect.fail("no"),
    "an empty stream": Stream.empty
  }
  const collected = (stream: Stream.Stream<number, string>) => Effect.exit(Stream.runCollect(stream))
  for (const [name, inner] of Object.entries(inners)) {
    it.effect(`is ${name} where that is given`, () =>
      Effect.gen(function* () {
        const effect = Effect.succeed(inner)
        assert.deepStrictEqual(yield* collected(unwrap(effect)), yield* collected(Stream.unwrap(effect)))
      })
    )
  }

  it.effect("fails as the effect does", () =>
    Effect.gen(function* () {
      const effect: Effect.Effect<Stream.Stream<number, string>, string> = Effect.fail("no")
      assert.deepStrictEqual(yield* collected(unwrap(effect)), yield* collected(Stream.unwrap(effect)))
    })
  )
})
