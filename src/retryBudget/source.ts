/**
 * How a retry or a hedge finds its budget. This file imports only the types of a budget, so that a retry without one does not load
 * it.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Predicate from "effect/Predicate"
import { type Check, InvalidOption } from "../core/options.js"
import type * as RetryBudget from "./RetryBudget.js"
import type { Budget } from "./ledger.js"
import type { Call } from "./call.js"
import type { Body, Restore } from "../internal/erased.js"

export const TypeId: RetryBudget.TypeId = Symbol.for("effect-resilience/RetryBudget") as RetryBudget.TypeId

export const check: Check = (policy, option, value) => {
  if (Effect.isEffect(value) || Predicate.hasProperty(value, TypeId)) return
  throw new InvalidOption(policy, option, value, "a RetryBudget or its tag")
}

/** The budget among the settings of a policy: its name. That of a tag without instance is the key. */
export const shown = (source: RetryBudget.Source | undefined): string | undefined => {
  if (source === undefined) return undefined
  if (Predicate.hasProperty(source, TypeId)) return source.name
  return Context.isTag(source) ? source.key.replace(/^RetryBudget\//, "") : "retry-budget"
}

/** Runs a call that uses a budget: an instance, or the effect that finds one, which is the caller's also within a mask. */
export const withBudget = (
  source: RetryBudget.Source,
  body: (call: Call) => Body,
  restore: Restore = identity
): Body => {
  const run = (budget: RetryBudget.RetryBudget): Body => (budget as Budget).during(body)
  return Effect.isEffect(source) ? Effect.flatMap(restore(source), run) : run(source)
}
