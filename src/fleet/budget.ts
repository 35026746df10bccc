/** A retry budget whose floor is that of its fleet. */
import * as Effect from "effect/Effect"
import { InvalidOption } from "../core/options.js"
import type * as RetryBudget from "../retryBudget/RetryBudget.js"
import { SharedStore } from "./SharedStore.js"

type Sharing = (budget: RetryBudget.Shareable) => Effect.Effect<RetryBudget.Link, never, SharedStore>

export const floor = (): Sharing => Object.assign(share, { check })

const share: Sharing = (budget) =>
  Effect.map(SharedStore, ({ hub }) => {
    const { rule } = budget
    let divisor = 1
    const update = (now: number): void => {
      if (hub.instances === divisor) return
      divisor = hub.instances
      if ("perSecond" in rule) budget.follow({ ...rule, perSecond: rule.perSecond / divisor }, now)
    }
    return { settings: { mode: "floor" }, update }
  })

const check = (rule: RetryBudget.Rule): void => {
  if ("perSecond" in rule && rule.perSecond > 0) return
  const expected = 'a rule with "minPerSecond" above 0, which is what "share" divides'
  throw new InvalidOption("RetryBudget.make", "rule", rule, expected)
}
