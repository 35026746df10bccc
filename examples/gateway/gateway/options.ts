// The options of the gateway, shared by both programs that start one.
import { Config, Redacted } from "effect"

export const policies = {
  rate: Config.integer("RATE").pipe(
    Config.validate({
      message: "the rate must be at least one request a second",
      validation: (rate) => rate >= 1
    }),
    Config.withDefault(5)
  ),
  openFor: Config.duration("OPEN_FOR").pipe(Config.withDefault("5 seconds")),
  adminToken: Config.redacted("ADMIN_TOKEN").pipe(Config.withDefault(Redacted.make("demo")))
}

export const help = {
  rate: "how many requests a second each API key may make (default: 5)",
  "open-for": "how long the circuit of an upstream stays open (default: 5 seconds)",
  "admin-token": "the token that allows steering the policies (default: demo)"
}
