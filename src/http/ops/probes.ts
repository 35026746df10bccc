/** What the routes for probes answer. */
import type * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type { HttpApiDecodeError } from "@effect/platform/HttpApiError"
import type * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApp from "@effect/platform/HttpApp"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { InvalidOption, object, type Shape } from "../../core/options.js"
import type * as Health from "../../observability/Health.js"
import * as judge from "../../observability/judge.js"
import type { Registry } from "../../observability/Registry.js"
import { plural } from "../../observability/sentences.js"
import { guardShape, prefixCheck, reader } from "../admin/admin.js"
import * as HttpDrain from "../server/HttpDrain.js"
import { type group, NotReady } from "./healthGroup.js"
import type * as HttpHealth from "./HttpHealth.js"

const shape: Shape<HttpHealth.Options> = {
  ...judge.shape,
  reading: guardShape.reading,
  drain: (policy, option, value) => {
    if (!Predicate.hasProperty(value, HttpDrain.TypeId)) {
      throw new InvalidOption(policy, option, value, "a drain made by HttpDrain")
    }
  }
}

const layerRouterShape: Shape<HttpHealth.LayerRouterOptions> = { ...shape, prefix: prefixCheck }

/** The most reasons in an answer: a keyed policy may have thousands of instances. */
const most = 100

interface Answer {
  readonly report: HttpHealth.Report
  readonly isReady: boolean
}

type Probes = (request: HttpServerRequest.HttpServerRequest) => Effect.Effect<Answer>

/** What the hook requires stands in the public types. */
export const make = (
  policy: string,
  options: HttpHealth.LayerRouterOptions = {}
): Effect.Effect<Probes, never, Registry> =>
  Effect.gen(function* () {
    object(policy, "", options, policy === "HttpHealth.layerRouter" ? layerRouterShape : shape)
    const { drain, reading, rules } = options
    const { check } = yield* judge.make(policy, { rules })
    const readable = reader(reading)
    const around = yield* Effect.serviceOption(HttpDrain.HttpDrain)
    return (request) =>
      Effect.gen(function* () {
        // The drain of a server may be there for its requests alone.
        const found = Option.orElse(yield* Effect.serviceOption(HttpDrain.HttpDrain), () => around)
        const draining = yield* drainingOf(drain ?? Option.getOrUndefined(found))
        const { reasons } = yield* check
        const { status, ...report } = judge.reportOf([...draining, ...reasons])
        const isAllowed = yield* Effect.isSuccess(readable({ request, name: undefined, kind: undefined }))
        return {
          report: isAllowed ? { status, ...shortened(report.reasons) } : { status, reasons: [] },
          isReady: status !== "down"
        }
      })
  })

const shortened = (reasons: ReadonlyArray<Health.Reason>): Pick<HttpHealth.Report, "reasons" | "more"> =>
  reasons.length <= most ? { reasons } : { reasons: reasons.slice(0, most), more: reasons.length - most }

/** A server that drains is not ready, whatever the rules say. */
const drainingOf = (drain: HttpDrain.Drain | undefined): Effect.Effect<ReadonlyArray<Health.Reason>> =>
  drain === undefined
    ? Effect.succeed([])
    : Effect.map(drain.snapshot, ({ name, running, state }) =>
        state === "serving"
          ? []
          : [
              {
                kind: "drain",
                name,
                state,
                health: "down",
                reason: `${state}: the server stops, ${plural(running, "request")} running`
              }
            ]
      )

/** The layer that implements the group in an api that has it. */
export const handlers = <ApiId extends string>(
  api: HttpApi.HttpApi<ApiId, typeof group, HttpApiDecodeError>,
  probes: Probes
): Layer.Layer<HttpApiGroup.ApiGroup<ApiId, "health">> =>
  HttpApiBuilder.group(api, "health", (routes) =>
    routes
      .handle("health", ({ request }) => uncached(Effect.map(probes(request), ({ report }) => report)))
      .handle("ready", ({ request }) =>
        uncached(
          Effect.flatMap(probes(request), ({ isReady, report }) =>
            isReady ? Effect.succeed(report) : Effect.fail(new NotReady(report))
          )
        )
      )
  )

const uncached = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.zipRight(
    HttpApp.appendPreResponseHandler((_, response) =>
      Effect.succeed(HttpServerResponse.setHeader(response, "cache-control", "no-store"))
    ),
    self
  )
