// Starts service B on port 3001. Try: curl http://localhost:3001, then curl -X PUT -d hanging http://localhost:3001/behaviour
import { Config, Effect, Layer } from "effect"
import { port, run } from "../support/program.js"
import * as ServiceB from "./b/server.js"

const options = Config.all({
  port: port(3001),
  behaviour: Config.literal(...ServiceB.behaviours)("BEHAVIOUR").pipe(Config.withDefault("healthy"))
})

run({
  command: "npx tsx examples/microservices/service-b.ts",
  options: {
    port: "the port to listen on, 0 for any free one (default: 3001)",
    behaviour: `the initial behaviour: ${ServiceB.behaviours.join(", ")} (default: healthy)`
  },
  main: Layer.unwrapEffect(Effect.map(options, ServiceB.layer))
})
