/** State that belongs to a value and is made with the first request that needs it, so that making the value is no effect. */
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
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

/** Goes on with something that is there, or has to be made first. */
export type Using<A> = <B, E, R>(use: (made: A) => Effect.Effect<B, E, R>) => Effect.Effect<B, E, R>

/**
 * Makes something once. Of two requests that find nothing, the first to have made it wins.
 *
 * What is made keeps the services of the program for its listeners. Those of the first request stay out of it: a listener finds
 * those of the request that it is called for, and the first one can be forgotten. What it requires stands in the public types.
 */
export const once = <A>(make: Effect.Effect<A, never, unknown>): Using<A> => {
  let made: { readonly value: A } | undefined
  const making = Effect.map(
    Effect.mapInputContext(make, (context: Context.Context<unknown>) => withoutRequest(context)),
    (value) => (made ??= { value }).value
  ) as Effect.Effect<A>
  return (use) => (made === undefined ? Effect.flatMap(making, use) : use(made.value))
}

/** The same as an effect. */
export const onceEffect = <A>(make: Effect.Effect<A, never, unknown>): Effect.Effect<A> => {
  const using = once(make)
  return Effect.suspend(() => using(Effect.succeed<A>))
}

const withoutRequest = <R>(context: Context.Context<R>): Context.Context<R> =>
  Context.unsafeMake(new Map([...context.unsafeMap].filter(([key]) => !ofRequest.has(key))))
