/** Names, cheap errors and combinators, shared by all policies. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { text } from "../core/options.js"

/** The name of a policy: what the user gave, else its kind. An empty name is a mistake. */
export const nameOf = (policy: string, kind: string, name: string | undefined): string => {
  if (name !== undefined) text(policy, "name", name)
  return name ?? kind
}

/** Builds an error without its stack trace, which is most of an error's cost and the same for every rejection. */
export const withoutStack = <E>(build: () => E): E => {
  const limit = Error.stackTraceLimit
  try {
    Error.stackTraceLimit = 0
  } catch {
    return build() // a hardened runtime freezes the limit
  }
  try {
    return build()
  } finally {
    Error.stackTraceLimit = limit
  }
}

/** A combinator in both its forms: `verb(options)` makes a policy, `verb(self, options)` applies it, by `apply` if that is cheaper. */
export const combinator = <Both>(
  make: (...args: Array<never>) => unknown,
  apply?: (self: never, ...args: Array<never>) => unknown
): Both => {
  const policy = make as (...args: ReadonlyArray<unknown>) => (self: unknown) => unknown
  const applied = apply as ((...args: ReadonlyArray<unknown>) => unknown) | undefined
  const both = (...args: ReadonlyArray<unknown>): unknown => {
    if (args.length < 2 || !isSelf(args[0])) return policy(...args)
    return applied === undefined ? policy(...args.slice(1))(args[0]) : applied(...args)
  }
  return both as Both
}

/** Options and eithers are effects too, but in the first place they are values. */
const isSelf = (value: unknown): boolean =>
  Effect.isEffect(value) && !Option.isOption(value) && !Either.isEither(value)
