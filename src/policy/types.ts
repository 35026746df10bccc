/** Types for public signatures: inference of options with their names kept, and readable results. */
import type * as Config from "effect/Config"
import type * as Effect from "effect/Effect"
import type * as Policy from "./Policy.js"

/**
 * `Options`, from which the compiler infers `O`, the type of the options as written. They are checked against their interface, so a
 * misspelt option is reported by its name. A policy is refused, though some of its properties have the names of options; an
 * `Instance` may stand in their place.
 */
export type Checked<O, Options, Instance = never> = [O] extends [never]
  ? Extract<O, Options>
  : O extends Instance
    ? Instance
    : O extends Policy.Described
      ? never
      : Options

/** A type without its alias, so that an editor shows `CircuitOpen`: boxed and taken out again, the members make an unnamed union. */
export type Flat<T> = Boxed<T> extends infer Box extends { readonly of: unknown } ? Box["of"] : never
type Boxed<T> = T extends unknown ? { readonly of: T } : never

/** Whether a type is `any`, which must not make errors and requirements unknown. */
export type IsAny<V> = 0 extends 1 & V ? true : false

export type SuccessOfEffect<V> = V extends Effect.Effect<infer A, unknown, unknown> ? A : never

export type ErrorOfEffect<V> =
  IsAny<V> extends true ? never : V extends Effect.Effect<unknown, infer E, unknown> ? E : never

export type ContextOfEffect<V> =
  IsAny<V> extends true ? never : V extends Effect.Effect<unknown, unknown, infer R> ? R : never

/** What an instance, a tag or the options of either require. */
export type NeededByGiven<V> =
  IsAny<V> extends true
    ? never
    : V extends
          | { readonly snapshot: Effect.Effect<unknown, never, infer Needed> }
          | { readonly snapshots: Effect.Effect<unknown, never, infer Needed> }
      ? Needed
      : Policy.ContextOf<V>

/** Settings of which each may come from the configuration. */
export type Configured<Settings> = { readonly [K in keyof Settings]: Config.Config.Wrap<Settings[K]> }
