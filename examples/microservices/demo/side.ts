// One side of the comparison: a service A with its own service B and its own callers, on free ports.
import { HttpServer } from "@effect/platform"
import { Context, Effect, Layer, Ref } from "effect"
import { Observability } from "effect-resilience/observability"
import { urlOf } from "../../support/server.js"
import { type Name, ServiceBCircuit } from "../a/policies.js"
import * as ServiceA from "../a/server.js"
import * as ServiceB from "../b/server.js"
import * as Callers from "./callers.js"

/** Metrics belong to the process: only one of two sides may count. */
export const make = (policy: Name, metrics: boolean) =>
  Effect.gen(function* () {
    const b = yield* Layer.build(ServiceB.layer({ port: 0, behaviour: "healthy" }))
    const serviceB = urlOf(Context.get(b, HttpServer.HttpServer))
    const a = yield* Layer.build(
      ServiceA.layer({ port: 0, serviceB, policy, failuresInARow: 10, retryFor: "2 seconds" }).pipe(
        Layer.provide(Observability.layer(metrics ? { spans: false } : { metrics: false, spans: false }))
      )
    )
    const serviceA = urlOf(Context.get(a, HttpServer.HttpServer))
    const { behaviour, received } = Context.get(b, ServiceB.ServiceB)
    const callers = yield* Ref.make(Callers.none)
    const circuit = Context.get(a, ServiceBCircuit)
    return {
      /** The URL of service A. */
      url: serviceA,
      circuit,
      /** One more caller, which waits for an answer and gives up when it takes too long. */
      call: Callers.call(serviceA, callers),
      /** Switches the behaviour of service B. */
      switchB: (to: ServiceB.Behaviour) => Ref.set(behaviour, to),
      /** Everything measured so far. */
      measured: Effect.all({ callers: Ref.get(callers), received: Ref.get(received), state: circuit.state }),
      /** Forgets what was measured, while nothing is under way. */
      forget: Effect.all([Ref.set(callers, Callers.none), Ref.set(received, 0)], { discard: true })
    }
  })

export type Side = Effect.Effect.Success<ReturnType<typeof make>>

export type Measured = Effect.Effect.Success<Side["measured"]>

interface Compared<A> {
  readonly withPolicies: A
  readonly without: A
}

/** The two sides of the comparison. */
export type Sides = Compared<Side>

/** What was measured of both sides. */
export type Both = Compared<Measured>
