// Starts the offer service on port 8001, in front of the partner. Try: curl http://localhost:8001/offer
import { Config, Effect, Layer } from "effect"
import { port, run } from "../support/program.js"
import * as Offer from "./offer/server.js"

const options = Config.all({
  port: port(8001),
  partner: Config.string("PARTNER").pipe(Config.withDefault("http://localhost:8000"))
})

run({
  command: "npx tsx examples/offers/offer-service.ts",
  options: {
    port: "the port to listen on, 0 for any free one (default: 8001)",
    partner: "the URL of the partner (default: http://localhost:8000)",
    failures: "how many failures in a row open the circuit (default: 3)",
    "open-for": "how long the circuit stays open (default: 15 seconds)",
    store: "where the circuit is kept: memory, or redis, which several services share (default: memory)",
    "redis-url": "the URL of Redis (default: redis://localhost:6379)"
  },
  main: Layer.unwrapEffect(Effect.map(options, Offer.layer))
})
