// Starts the gateway on port 8080, in front of two running upstreams. `npm run gateway` starts all three.
import { Config, Effect, Layer } from "effect"
import { port, run } from "../support/program.js"
import * as Options from "./gateway/options.js"
import * as Gateway from "./gateway/server.js"

const options = Config.all({
  port: port(8080),
  catalog: Config.string("CATALOG").pipe(Config.withDefault("http://localhost:8081")),
  orders: Config.string("ORDERS").pipe(Config.withDefault("http://localhost:8082")),
  ...Options.policies
})

run({
  command: "npx tsx examples/gateway/gateway.ts",
  options: {
    port: "the port to listen on, 0 for any free one (default: 8080)",
    catalog: "the URL of the upstream of /catalog (default: http://localhost:8081)",
    orders: "the URL of the upstream of /orders (default: http://localhost:8082)",
    ...Options.help
  },
  main: Layer.unwrapEffect(Effect.map(options, Gateway.layer))
})
