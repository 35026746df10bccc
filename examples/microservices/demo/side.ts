// One side of the comparison: a service A with its own service B and its own callers, on free ports.
import { HttpServer } from "@effect/platform"
import { Context, Effect, Layer, Ref } from "effect"
import { urlOf } from "../../support/server.js"
import { type Name, ServiceBCircuit } from "../a/policies.js"
import * as ServiceA from "../a/server.js"
import * as ServiceB from "../b/server.js"
import * as Callers from "./callers.js"

export const make = (policy: Name) =>
  Effect.gen(function* () {
    const b = yield* Layer.build(ServiceB.layer({ port: 0, behaviour: "healthy" }))
    const serviceB = urlOf(Context.get(b, HttpServer.HttpServer))
    const a = yield* Layer.build(
      ServiceA.layer({ port: 0, serviceB, policy, failuresInARow: 10, retryFor: "2 seconds" })
    )
    const serviceA = urlOf(Context.get(a, HttpServer.HttpServer))
    const { behaviour, received } = Context.get(b, ServiceB.ServiceB)
    const callers = yield* Ref.make(Callers.none)
    const circuit = Context.get(a, ServiceBCircuit)
    return {
      circuit,
      /** One more caller, which waits for an answer and gives up when it takes too long. */
      call: Callers.call(serviceA, callers),
      /** Switches the behaviour of service B. */
      switchB: (to: ServiceB.Behaviour) => Ref.set(behaviour, to),
      /** Everything measured so far. */
      measured: Effect.all({ callers: Ref.get(callers), received: Ref.get(received), state: circuit.state })
    }
  })

export type Side = Effect.Effect.Success<ReturnType<typeof make>>

export type Measured = Effect.Effect.Success<Side["measured"]>

/** The two sides of the comparison. */
export interface Both {
  readonly withPolicies: Measured
  readonly without: Measured
}
