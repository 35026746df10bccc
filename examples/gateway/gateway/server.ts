// The gateway: `/catalog` and `/orders` are upstreams, `/resilience` shows and steers the policies.
import { HttpClient, HttpRouter } from "@effect/platform"
import { NodeHttpClient } from "@effect/platform-node"
import { Effect, Layer, Redacted } from "effect"
import { HttpAdmin } from "effect-resilience/http"
import * as Server from "../../support/server.js"
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
    const { inward, outward, shown } = yield* Policies.make(options)
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
    const admin = yield* HttpAdmin.router({
      policies: shown,
      steering: {
        authorize: ({ request }) =>
          Effect.succeed(request.headers.authorization === `Bearer ${Redacted.value(options.adminToken)}`)
      }
    })
    return HttpRouter.empty.pipe(
      HttpRouter.mount("/catalog", upstream(options.catalog)),
      HttpRouter.mount("/orders", upstream(options.orders)),
      HttpRouter.concat(admin)
    )
  })

export const layer = (options: Options) =>
  Layer.unwrapEffect(Effect.map(router(options), (routes) => Server.serve(routes, options.port))).pipe(
    Layer.provide(NodeHttpClient.layerUndici)
  )
