/** The words that stand in the paths, queries and bodies of the admin routes. */
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as HttpAdmin from "./HttpAdmin.js"

/**
 * @since 0.1.0
 * @category schemas
 */
export const Kind = Schema.Literal(
  "circuit-breaker",
  "bulkhead",
  "rate-limiter",
  "retry-budget",
  "cache"
) satisfies Schema.Schema<HttpAdmin.Entry["kind"]>

/**
 * @since 0.1.0
 * @category models
 */
export type Kind = typeof Kind.Type

/**
 * @since 0.1.0
 * @category schemas
 */
export const Action = Schema.Literal("isolate", "release", "open", "close", "reset")

/**
 * What can be asked of a policy: all of it of a circuit breaker, `reset` of a retry budget, nothing of others.
 *
 * @since 0.1.0
 * @category models
 */
export type Action = typeof Action.Type

/** A name as one segment of a path. The router decodes it, but the client of an `HttpApi` does not encode it. */
export const PathName: Schema.Schema<string> = Schema.transformOrFail(Schema.String, Schema.String, {
  strict: true,
  decode: (name) => ParseResult.succeed(name),
  encode: (name, _, ast) =>
    ParseResult.try({
      try: () => encodeURIComponent(name),
      catch: () => new ParseResult.Type(ast, name, "The name is not well-formed Unicode")
    })
})
