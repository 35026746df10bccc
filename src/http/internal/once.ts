/** State that is made with the first request that needs it, so that making its owner is no effect. */
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"

/** The services of a request, in contrast to those of the program. */
const ofRequest = new Set([
  HttpServerRequest.HttpServerRequest.key,
  HttpServerRequest.ParsedSearchParams.key,
  HttpRouter.RouteContext.key,
  Scope.Scope.key,
  Tracer.ParentSpan.key
])

/** Continues with something, which is made first if it is missing. */
export type Using<A> = <B, E, R>(use: (made: A) => Effect.Effect<B, E, R>) => Effect.Effect<B, E, R>

/**
 * Makes something once. Of two requests that find nothing, the first to have made it wins. It keeps the services of the program for
 * its listeners, without those of the first request: a listener finds those of the request that it is called for.
 */
export const once = <A>(make: Effect.Effect<A, never, unknown>): Using<A> => {
  let made: { readonly value: A } | undefined
  const making = Effect.map(
    Effect.mapInputContext(make, (context: Context.Context<unknown>) => withoutRequest(context)),
    (value) => (made ??= { value }).value
  ) as Effect.Effect<A>
  return (use) => (made === undefined ? Effect.flatMap(making, use) : use(made.value))
}

export const onceEffect = <A>(make: Effect.Effect<A, never, unknown>): Effect.Effect<A> => {
  const using = once(make)
  return Effect.suspend(() => using(Effect.succeed<A>))
}

const withoutRequest = <R>(context: Context.Context<R>): Context.Context<R> =>
  Context.unsafeMake(new Map([...context.unsafeMap].filter(([key]) => !ofRequest.has(key))))
