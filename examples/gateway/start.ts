// Starts two upstreams, each in its own process, and the gateway in front of them, and prints what to try: npm run gateway
import { HttpServer } from "@effect/platform"
import { Config, Console, Context, Effect, Layer, Redacted } from "effect"
import { user } from "../support/operators.js"
import { port, run } from "../support/program.js"
import { urlOf } from "../support/server.js"
import * as Options from "./gateway/options.js"
import * as Gateway from "./gateway/server.js"
import * as Upstream from "./upstream/process.js"

const options = Config.all({ port: port(8080), ...Options.policies })

const main = Layer.scopedDiscard(
  Effect.gen(function* () {
    const { adminToken, port, ...policies } = yield* options
    const start = (name: string, after: number) =>
      Upstream.start({
        name,
        port: port === 0 ? 0 : port + after,
        onLine: (line) => Console.log(`${name.padEnd(8)}| ${line}`)
      })
    const [catalog, orders] = yield* Effect.all([start("catalog", 1), start("orders", 2)], { concurrency: 2 })
    const gateway = yield* Layer.build(
      Gateway.layer({ port, catalog: catalog.url, orders: orders.url, adminToken, ...policies })
    )
    const url = urlOf(Context.get(gateway, HttpServer.HttpServer))
    yield* Console.log(introduction({ url, catalog, orders, token: Redacted.value(adminToken) }))
  })
)

interface Running {
  readonly url: string
  readonly pid: number | undefined
}

const introduction = (running: {
  readonly url: string
  readonly catalog: Running
  readonly orders: Running
  readonly token: string
}): string => {
  const { catalog, orders, token, url } = running
  const breaker = `${url}/resilience/${encodeURIComponent(`upstream/${catalog.url}`)}`
  return `
gateway  ${url}
catalog  ${catalog.url}  process ${catalog.pid}
orders   ${orders.url}  process ${orders.pid}

Try in another terminal:
  curl '${url}/catalog/books?page=2'
  curl -d '{"book":1}' ${url}/orders/new
  curl -X PUT -d slow ${catalog.url}/behaviour      # or flaky, failing, hanging, fine
  curl -w ' after %{time_total} s\\n' ${url}/catalog/books
  curl -Z --no-progress-meter -o /dev/null -w '%{http_code}\\n' -H 'x-api-key: alice' '${url}/orders/[1-20]'
  kill -STOP ${catalog.pid}                                          # and later: kill -CONT ${catalog.pid}
  curl ${url}/health                                    # also /ready, /metrics and /resilience
  curl -X POST -H 'authorization: Bearer ${token}' ${breaker}/isolate     # and later: release

In a browser:
  ${url}/dashboard
  ${url}/login      # to steer: user ${user}, password ${token}

Ctrl-C ends all three.
`
}

run({
  command: "npm run gateway --",
  options: {
    port: "the port of the gateway; the upstreams take the next two; 0 for any free ones (default: 8080)",
    ...Options.help
  },
  main
})
