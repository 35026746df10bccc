// Routes for a service whose behaviour can change while it runs: `GET /behaviour` shows it, `PUT /behaviour` switches it.
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Effect, Ref } from "effect"

/** The routes of a service whose behaviour is in `current`, one of `behaviours`. */
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
          const error = `the body must be one of: ${behaviours.join(", ")}`
          return yield* HttpServerResponse.json({ error }, { status: 400 })
        }
        yield* Ref.set(yield* current, behaviour)
        yield* Effect.annotateLogs(Effect.log("behaviour changed"), { behaviour })
        return yield* answer(behaviour)
      })
    )
  )

const answer = (behaviour: string) => HttpServerResponse.json({ behaviour })
