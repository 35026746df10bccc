// The gateway: `/catalog` and `/orders` are upstreams; `/dashboard`, `/metrics`, `/health`, `/ready` and `/resilience` show the policies,
// `/alerts.yaml` and `/grafana.json` watch them from outside.
import { HttpClient, HttpRouter } from "@effect/platform"
import { NodeHttpClient } from "@effect/platform-node"
import { Effect, Layer, type Redacted } from "effect"
import { Observability } from "effect-resilience/observability"
import * as Operators from "../../support/operators.js"
import * as Server from "../../support/server.js"
import * as Monitoring from "./monitoring.js"
import * as Policies from "./policies.js"
import * as Proxy from "./proxy.js"

export interface Options extends Policies.Options {
  /** The port to listen on; 0 takes any free one. */
  readonly port: number
  /** The URLs of the upstreams. */
  readonly catalog: string
  readonly orders: string
  /** Allows steering. */
  readonly adminToken: Redacted.Redacted
}

const router = (options: Options) =>
  Effect.gen(function* () {
    const { inward, outward } = yield* Policies.make(options)
    // In the scope of the request, which releases a response that is not read to its end.
    const client = HttpClient.withScope((yield* HttpClient.HttpClient).pipe(outward))
    const upstream = (url: string) => {
      const proxy = Proxy.to(client, url)
      return HttpRouter.empty.pipe(
        HttpRouter.all("/", proxy),
        HttpRouter.all("/*", proxy),
        HttpRouter.use(inward)
      )
    }
    return HttpRouter.empty.pipe(
      HttpRouter.mount("/catalog", upstream(options.catalog)),
      HttpRouter.mount("/orders", upstream(options.orders)),
      HttpRouter.concat(yield* Operators.steering(options.adminToken)),
      HttpRouter.concat(Monitoring.routes)
    )
  })

export const layer = (options: Options) =>
  Layer.unwrapScoped(Effect.map(router(options), (routes) => Server.serve(routes, options.port))).pipe(
    Layer.provide(NodeHttpClient.layerUndici),
    // Under everything else, so that it finds every policy.
    Layer.provide(Observability.layer())
  )
