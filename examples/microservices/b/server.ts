// Service B, which service A calls. While it runs, it can be told to answer, sleep or fail.
import { HttpRouter, HttpServerResponse } from "@effect/platform"
import { Context, Effect, Layer, Random, Ref, type Duration } from "effect"
import * as Server from "../../support/server.js"
import * as Switch from "../../support/switch.js"

export const behaviours = ["healthy", "hanging", "failing", "flaky", "down"] as const

/**
 * - `healthy`: answers
 * - `hanging`: sleeps for 5 seconds before it answers
 * - `failing`: fails half of the time with 503 and `Retry-After: 1`
 * - `flaky`: the same, and sleeps for a second half of the rest of the time
 * - `down`: always fails with 503 and `Retry-After: 1`
 */
export type Behaviour = (typeof behaviours)[number]

type Answer = Effect.Effect<HttpServerResponse.HttpServerResponse>

const hello: Answer = Effect.orDie(HttpServerResponse.json({ message: "hello from service B" }))
const helloAfter = (delay: Duration.DurationInput): Answer => Effect.delay(hello, delay)
const overloaded: Answer = Effect.succeed(
  HttpServerResponse.empty({ status: 503, headers: { "retry-after": "1" } })
)

/** Randomness comes from the `Random` service, so that a test can control it. */
const halfOfTheTime = (heads: Answer, tails: Answer): Answer =>
  Effect.flatMap(Random.nextBoolean, (isHeads) => (isHeads ? heads : tails))

const answers: Record<Behaviour, Answer> = {
  healthy: hello,
  hanging: helloAfter("5 seconds"),
  failing: halfOfTheTime(overloaded, hello),
  flaky: halfOfTheTime(overloaded, halfOfTheTime(helloAfter("1 second"), hello)),
  down: overloaded
}

/** The behaviour of service B and the requests it has received, for a program that runs it in its own process. */
export class ServiceB extends Context.Tag("ServiceB")<
  ServiceB,
  { readonly behaviour: Ref.Ref<Behaviour>; readonly received: Ref.Ref<number> }
>() {}

const answer = Effect.gen(function* () {
  const { behaviour, received } = yield* ServiceB
  yield* Ref.update(received, (count) => count + 1)
  return yield* answers[yield* Ref.get(behaviour)]
})

const routes = HttpRouter.empty.pipe(
  HttpRouter.get("/", answer),
  HttpRouter.concat(
    Switch.routes(
      behaviours,
      Effect.map(ServiceB, ({ behaviour }) => behaviour)
    )
  )
)

export interface Options {
  /** The port to listen on; 0 takes any free one. */
  readonly port: number
  /** Its initial behaviour. */
  readonly behaviour: Behaviour
}

export const layer = ({ behaviour, port }: Options) =>
  Server.serve(routes, port).pipe(
    Layer.provideMerge(
      Layer.effect(ServiceB, Effect.all({ behaviour: Ref.make(behaviour), received: Ref.make(0) }))
    )
  )
