// Starts service A on port 3000, in front of service B. Try: curl http://localhost:3000
import { Config, Effect, Layer } from "effect"
import { Observability } from "effect-resilience/observability"
import { port, run } from "../support/program.js"
import * as Policies from "./a/policies.js"
import * as ServiceA from "./a/server.js"

const options = Config.all({
  port: port(3000),
  serviceB: Config.string("SERVICE_B").pipe(Config.withDefault("http://localhost:3001")),
  policy: Config.literal(...Policies.names)("POLICY").pipe(Config.withDefault("composition")),
  failuresInARow: Config.integer("FAILURES").pipe(
    Config.validate({
      message: "the circuit needs at least one failure to open",
      validation: (count) => count >= 1
    }),
    Config.withDefault(3)
  ),
  retryFor: Config.duration("RETRY_FOR").pipe(Config.withDefault("10 seconds"))
})

run({
  command: "npx tsx examples/microservices/service-a.ts",
  options: {
    port: "the port to listen on, 0 for any free one (default: 3000)",
    "service-b": "the URL of service B (default: http://localhost:3001)",
    policy: `the policies around calls to service B: ${Policies.names.join(", ")} (default: composition)`,
    failures: "how many failures in a row open the circuit (default: 3)",
    "retry-for": "how long a call may continue with retries (default: 10 seconds)"
  },
  main: Layer.unwrapEffect(Effect.map(options, ServiceA.layer)).pipe(Layer.provide(Observability.layer()))
})
