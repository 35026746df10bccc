// An upstream that echoes requests. While it runs, it can be told to answer late, with errors or not at all.
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Context, Effect, Layer, Ref } from "effect"
import * as Server from "../../support/server.js"
import * as Switch from "../../support/switch.js"

export const behaviours = ["fine", "slow", "flaky", "failing", "hanging"] as const

/**
 * - `fine`: answers
 * - `slow`: takes 400 milliseconds for every other answer
 * - `flaky`: answers every other request with 500
 * - `failing`: answers every request with 500
 * - `hanging`: never answers
 */
export type Behaviour = (typeof behaviours)[number]

/** The behaviour of an upstream and the requests it has received, for a program that runs it in its own process. */
export class Upstream extends Context.Tag("Upstream")<
  Upstream,
  { readonly name: string; readonly behaviour: Ref.Ref<Behaviour>; readonly received: Ref.Ref<number> }
>() {}

const echo = Effect.gen(function* () {
  const { name } = yield* Upstream
  const request = yield* HttpServerRequest.HttpServerRequest
  const said = { upstream: name, method: request.method, url: request.url }
  const body = yield* Effect.orDie(request.text)
  return HttpServerResponse.unsafeJson(body === "" ? said : { ...said, body })
})

const failure = Effect.succeed(HttpServerResponse.unsafeJson({ error: "out of order" }, { status: 500 }))

const answer = Effect.gen(function* () {
  const { behaviour, received } = yield* Upstream
  const isOdd = (yield* Ref.updateAndGet(received, (count) => count + 1)) % 2 === 1
  switch (yield* Ref.get(behaviour)) {
    case "fine":
      return yield* echo
    case "slow":
      return yield* isOdd ? Effect.delay(echo, "400 millis") : echo
    case "flaky":
      return yield* isOdd ? failure : echo
    case "failing":
      return yield* failure
    case "hanging":
      return yield* Effect.never
  }
})

const routes = HttpRouter.empty.pipe(
  HttpRouter.all("/*", answer),
  HttpRouter.concat(
    Switch.routes(
      behaviours,
      Effect.map(Upstream, ({ behaviour }) => behaviour)
    )
  )
)

export interface Options {
  /** Its name in answers. */
  readonly name: string
  /** The port to listen on; 0 takes any free one. */
  readonly port: number
  /** Its initial behaviour. */
  readonly behaviour: Behaviour
}

export const layer = ({ behaviour, name, port }: Options) =>
  Server.serve(routes, port).pipe(
    Layer.provideMerge(
      Layer.effect(
        Upstream,
        Effect.all({ name: Effect.succeed(name), behaviour: Ref.make(behaviour), received: Ref.make(0) })
      )
    )
  )
