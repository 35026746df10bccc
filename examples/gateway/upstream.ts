// Starts an upstream on port 8081. Try: curl http://localhost:8081/books, then curl -X PUT -d hanging http://localhost:8081/behaviour
import { Config, Effect, Layer } from "effect"
import { port, run } from "../support/program.js"
import * as Upstream from "./upstream/server.js"

const options = Config.all({
  port: port(8081),
  name: Config.string("SERVICE").pipe(Config.withDefault("catalog")),
  behaviour: Config.literal(...Upstream.behaviours)("BEHAVIOUR").pipe(Config.withDefault("fine"))
})

// When another program started it, it ends with that program, however that ends.
process.once("disconnect", () => process.exit())

run({
  command: "npx tsx examples/gateway/upstream.ts",
  options: {
    port: "the port to listen on, 0 for any free one (default: 8081)",
    service: "its name in answers (default: catalog)",
    behaviour: `the initial behaviour: ${Upstream.behaviours.join(", ")} (default: fine)`
  },
  main: Layer.unwrapEffect(Effect.map(options, Upstream.layer))
})
