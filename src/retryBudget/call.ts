/** What a retry or a hedge has withdrawn from its budget in one call. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as FailureCondition from "../policy/FailureCondition.js"
import type * as RetryBudget from "./RetryBudget.js"
import { withService } from "../internal/context.js"
import type { Budget, Withdrawal } from "./ledger.js"
import type { Body } from "../internal/erased.js"

/** What one call has taken from its budget, and whether it is the call that funds it. */
export class Call {
  /** A hedge inside of a retry is part of its call: the outer one of them funds the budget. */
  private readonly funds: boolean
  /** What the last retry took, for a rule that gives it back on success. */
  private taken = 0
  /** What was taken for a retry that has not begun. */
  private unused: Withdrawal | undefined
  private activity: RetryBudget.Activity = "retry"
  private over = false

  constructor(
    readonly budget: Budget,
    private readonly outer: Call | undefined,
    private readonly fiber: Fiber.RuntimeFiber<unknown, unknown>
  ) {
    this.funds = !funded(budget, outer)
    if (this.funds) budget.requested(fiber)
  }

  /** Whether a call further out, not yet over, funds the same budget. */
  isFunding(budget: Budget): boolean {
    return this.budget === budget ? !this.over : funded(budget, this.outer)
  }

  succeeded(): void {
    if (this.funds) this.budget.succeeded(this.taken, this.fiber)
  }

  failed(): void {
    if (this.funds) this.budget.failed(this.fiber)
  }

  /** Pays for a retry or a hedge, if there is enough to do so. */
  withdraw(
    activity: RetryBudget.Activity,
    failure: FailureCondition.Failed<unknown, unknown> | undefined
  ): Withdrawal {
    const withdrawal = this.budget.withdraw(activity, failure, this.fiber)
    if (withdrawal.granted) {
      this.activity = activity
      this.taken = withdrawal.cost
      this.unused = withdrawal
    }
    return withdrawal
  }

  /** The retry that was paid for begins. */
  begun(): void {
    this.unused = undefined
  }

  /** The call is over, however it ended. What was paid for and never begun is given back. */
  end(): void {
    this.over = true
    if (this.unused !== undefined) this.budget.giveBack(this.activity, this.unused, this.fiber)
  }
}

const funded = (budget: Budget, call: Call | undefined): boolean => call?.isFunding(budget) === true

/** The call that is being made, for policies further inside. */
const CurrentCall = Context.GenericTag<Call>("effect-resilience/RetryBudget/Call")

/** Runs a call that uses a budget from its beginning to its end. Policies further inside find the call in the context. */
export const withCall = (budget: Budget, body: (call: Call) => Body): Body =>
  Effect.withFiberRuntime((fiber) =>
    withService(
      CurrentCall,
      ({ unsafeMap }) => new Call(budget, unsafeMap.get(CurrentCall.key) as Call | undefined, fiber),
      body,
      (call) => call.end()
    )
  )
