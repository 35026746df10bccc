// Routes for the people and the machines that operate a service: the dashboard, health, metrics, and the policies as JSON. They find
// all policies in the registry of `Observability.layer`.
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Effect, Encoding, Redacted } from "effect"
import { HttpAdmin, HttpDashboard, HttpHealth, HttpMetrics } from "effect-resilience/http"

/** `/dashboard`, `/health`, `/ready`, `/metrics` and `/resilience`. Every caller may read; none may steer. */
export const reading = Effect.gen(function* () {
  return HttpRouter.concatAll(
    yield* HttpDashboard.router(),
    yield* HttpHealth.router(),
    yield* HttpMetrics.router(),
    yield* HttpAdmin.router()
  )
})

/** The same, and the holder of a token may steer: a program with `Authorization: Bearer`, a person after a visit of `/login`. */
export const steering = (token: Redacted.Redacted) =>
  Effect.gen(function* () {
    const isProgram = isAuthorized(`Bearer ${Redacted.value(token)}`)
    // A browser sends a password that it knows with every request, even if another site made it. The dashboard and the admin routes
    // refuse such requests, and the admin routes take no password besides.
    const isPerson = isAuthorized(`Basic ${Encoding.encodeBase64(`${user}:${Redacted.value(token)}`)}`)
    const login = Effect.map(HttpServerRequest.HttpServerRequest, (request) =>
      isPerson(request)
        ? HttpServerResponse.redirect("/dashboard")
        : HttpServerResponse.empty({ status: 401, headers: { "www-authenticate": challenge } })
    )
    return HttpRouter.concatAll(
      HttpRouter.get(HttpRouter.empty, "/login", login),
      yield* HttpDashboard.router({
        steering: { authorize: ({ request }) => Effect.succeed(isPerson(request)) }
      }),
      yield* HttpHealth.router(),
      yield* HttpMetrics.router(),
      yield* HttpAdmin.router({
        steering: { authorize: ({ request }) => Effect.succeed(isProgram(request)) }
      })
    )
  })

/** The user name for the password dialog of a browser. */
export const user = "operator"

const challenge = `Basic realm="policies", charset="UTF-8"`

const isAuthorized =
  (expected: string) =>
  ({ headers }: HttpServerRequest.HttpServerRequest): boolean =>
    headers.authorization === expected
