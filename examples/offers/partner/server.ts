// The partner: `GET /offer/hot` answers with a hot offer, or with a 500 without a body. `PUT /behaviour` chooses.
import { HttpRouter, HttpServerResponse } from "@effect/platform"
import { Context, Effect, Layer, Ref } from "effect"
import * as Server from "../../support/server.js"
import * as Switch from "../../support/switch.js"
import { minuteAndSecond } from "../time.js"

export const statuses = ["200", "500"] as const

/** The status that the partner answers with. */
export type Status = (typeof statuses)[number]

/** The behaviour of the partner and the requests it has received, for a program that runs it in its own process. */
export class Partner extends Context.Tag("Partner")<
  Partner,
  { readonly status: Ref.Ref<Status>; readonly received: Ref.Ref<number> }
>() {}

const hotOffer = Effect.gen(function* () {
  const { received, status } = yield* Partner
  yield* Ref.update(received, (count) => count + 1)
  if ((yield* Ref.get(status)) === "500") return HttpServerResponse.empty({ status: 500 })
  return HttpServerResponse.unsafeJson(`Hot offer ${yield* minuteAndSecond}`)
})

const routes = HttpRouter.empty.pipe(
  HttpRouter.get("/offer/hot", hotOffer),
  HttpRouter.concat(
    Switch.routes(
      statuses,
      Effect.map(Partner, ({ status }) => status)
    )
  )
)

export interface Options {
  /** The port to listen on; 0 takes any free one. */
  readonly port: number
}

export const layer = ({ port }: Options) =>
  Server.serve(routes, port).pipe(
    Layer.provideMerge(
      Layer.effect(Partner, Effect.all({ status: Ref.make<Status>("200"), received: Ref.make(0) }))
    )
  )
