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
 * The kinds of policies that can be shown.
 *
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
 * What can be asked of a policy. A circuit breaker can do all of it, a retry budget can be `reset`; other policies have
 * nothing that is steered.
 *
 * @since 0.1.0
 * @category models
 */
export type Action = typeof Action.Type

/**
 * A name as one segment of a path. The client of an `HttpApi` writes what it is given into the path as it is, and the router
 * decodes what it finds there; so there is something to do in one direction only.
 */
export const PathName: Schema.Schema<string> = Schema.transformOrFail(Schema.String, Schema.String, {
  strict: true,
  decode: (name) => ParseResult.succeed(name),
  encode: (name, _, ast) =>
    ParseResult.try({
      try: () => encodeURIComponent(name),
      catch: () => new ParseResult.Type(ast, name, "The name is not well-formed Unicode")
    })
})
