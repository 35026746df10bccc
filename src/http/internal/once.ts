/** State that belongs to a value and is made with the first request that needs it, so that making the value is no effect. */
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"

/** What belongs to a request and not to the program. */
const ofRequest = new Set([
  HttpServerRequest.HttpServerRequest.key,
  HttpServerRequest.ParsedSearchParams.key,
  HttpRouter.RouteContext.key,
  Scope.Scope.key,
  Tracer.ParentSpan.key
])

/**
 * Makes something once. Of two requests that find nothing, the first to have made it wins.
 *
 * What is made keeps the services of the program for its listeners. Those of the first request stay out of it: a listener
 * finds those of the request that it is called for, and the first one can be forgotten.
 */
export const once = <A, R>(make: Effect.Effect<A, never, R>): Effect.Effect<A, never, R> => {
  let made: { readonly value: A } | undefined
  const making = Effect.map(
    Effect.mapInputContext(make, (context: Context.Context<R>) => withoutRequest(context)),
    (value) => (made ??= { value }).value
  )
  return Effect.suspend(() => (made === undefined ? making : Effect.succeed(made.value)))
}

/** The same, with bad options thrown now: what is made to find out is thrown away. */
export const onceChecked = <A, R>(make: Effect.Effect<A, never, R>): Effect.Effect<A, never, R> => {
  const trial = Effect.runSyncExit(make as Effect.Effect<A>)
  if (Exit.isFailure(trial)) throw Cause.squash(trial.cause)
  return once(make)
}

const withoutRequest = <R>(context: Context.Context<R>): Context.Context<R> =>
  Context.unsafeMake(new Map([...context.unsafeMap].filter(([key]) => !ofRequest.has(key))))
