/** The services of whoever made a shared policy, as its listeners get them. */
import * as Context from "effect/Context"
import * as Tracer from "effect/Tracer"

/** Services without the span they were found in: a listener runs in the span of the call that made it happen. */
export const withoutSpan = (context: Context.Context<never>): Context.Context<unknown> => {
  const services = new Map(context.unsafeMap)
  services.delete(Tracer.ParentSpan.key)
  return Context.unsafeMake(services)
}
