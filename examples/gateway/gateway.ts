// The gateway on port 8080, in front of two upstreams that are there already. `npm run gateway` starts all three.
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
    catalog: "where the upstream of /catalog is (default: http://localhost:8081)",
    orders: "where the upstream of /orders is (default: http://localhost:8082)",
    ...Options.help
  },
  main: Layer.unwrapEffect(Effect.map(options, Gateway.layer))
})
