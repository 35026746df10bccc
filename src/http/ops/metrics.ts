/** What the route for Prometheus does. */
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { object, type Shape } from "../../core/options.js"
import * as Prometheus from "../../observability/Prometheus.js"
import { guardShape, prefixCheck, reader } from "../admin/admin.js"
import type * as HttpMetrics from "./HttpMetrics.js"

const shape: Shape<HttpMetrics.Options> = { reading: guardShape.reading }
const layerRouterShape: Shape<HttpMetrics.LayerRouterOptions> = { ...shape, prefix: prefixCheck }

type Handler = Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  never,
  HttpServerRequest.HttpServerRequest
>

/** The handler. Its hook runs with the context in which it was made and that of the request; the public types say what it needs. */
export const make = (policy: string, options: HttpMetrics.LayerRouterOptions): Effect.Effect<Handler> =>
  Effect.contextWith((made: Context.Context<never>) => {
    object(policy, "", options, policy === "HttpMetrics.layerRouter" ? layerRouterShape : shape)
    const readable = reader(options.reading)
    const handler = HttpServerRequest.HttpServerRequest.pipe(
      Effect.flatMap((request) => readable({ request, name: undefined, kind: undefined })),
      Effect.zipRight(Prometheus.text),
      Effect.map((text) => HttpServerResponse.text(text, { contentType: Prometheus.contentType })),
      Effect.catchTag("ReadingDenied", ({ _tag }) =>
        Effect.succeed(HttpServerResponse.unsafeJson({ _tag }, { status: 403 }))
      )
    )
    return Effect.mapInputContext(handler, (asked: Context.Context<HttpServerRequest.HttpServerRequest>) =>
      Context.merge(made, asked)
    )
  })
