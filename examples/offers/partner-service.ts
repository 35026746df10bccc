// Starts the partner on port 8000. Try: curl http://localhost:8000/offer/hot, then curl -X PUT -d 500 http://localhost:8000/behaviour
import { Config, Effect, Layer } from "effect"
import { port, run } from "../support/program.js"
import * as Partner from "./partner/server.js"

const options = Config.all({
  port: port(8000)
})

run({
  command: "npx tsx examples/offers/partner-service.ts",
  options: { port: "the port to listen on, 0 for any free one (default: 8000)" },
  main: Layer.unwrapEffect(Effect.map(options, Partner.layer))
})
