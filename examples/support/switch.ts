// Routes for a service that can be told how to behave while it runs: `GET /behaviour` tells, `PUT /behaviour` switches.
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Effect, Ref } from "effect"

/** The routes for a service that behaves as `current` says, in one of the ways of `behaviours`. */
export const routes = <B extends string, R>(
  behaviours: ReadonlyArray<B>,
  current: Effect.Effect<Ref.Ref<B>, never, R>
) =>
  HttpRouter.empty.pipe(
    HttpRouter.get("/behaviour", Effect.flatMap(Effect.flatMap(current, Ref.get), answer)),
    HttpRouter.put(
      "/behaviour",
      Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        const wanted = (yield* request.text).trim()
        const behaviour = behaviours.find((known) => known === wanted)
        if (behaviour === undefined) {
          const error = `the body has to be one of: ${behaviours.join(", ")}`
          return yield* HttpServerResponse.json({ error }, { status: 400 })
        }
        yield* Ref.set(yield* current, behaviour)
        yield* Effect.annotateLogs(Effect.log("behaviour changed"), { behaviour })
        return yield* answer(behaviour)
      })
    )
  )

const answer = (behaviour: string) => HttpServerResponse.json({ behaviour })
