/**
 * Limits how long an effect may take.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import {
  callable,
  flag,
  InvalidOption,
  isObject,
  object,
  type Shape,
  text,
  whereRead
} from "../core/options.js"
import { type DurationInput, optionMillis, runtimeMillis } from "../internal/duration.js"
import { combinator, withoutStack } from "../policy/define.js"
import { respond, respondable } from "../internal/respondable.js"
import type { Body } from "../internal/erased.js"
import { type Limit, LimitGuard, withLimit } from "./limit.js"
import { after } from "../internal/listeners.js"
import { policyOf } from "../policy/frame.js"
import { telling } from "./telling.js"
import * as Policy from "../policy/Policy.js"

/**
 * The effect took longer than its limit. An interruption from outside stays an interruption.
 *
 * @since 0.1.0
 * @category errors
 */
export class TimeoutExceeded extends Data.TaggedError("TimeoutExceeded")<{
  readonly name: string
  readonly limit: Duration.Duration
  /** How long it took until it was gone. More than the limit when its finalizers took their time. */
  readonly elapsed: Duration.Duration
  /**
   * How much too late this process noticed the limit, because its event loop was blocked for at least 100 milliseconds and a tenth
   * of the limit. A circuit breaker does not count such a timeout unless its condition names it.
   */
  readonly stalled?: Duration.Duration
}> {
  override get message(): string {
    return `took longer than ${Duration.format(this.limit)}`
  }

  /** @internal */
  [respondable](): Effect.Effect<unknown, unknown> {
    return respond(this)
  }
}

/**
 * A call took longer than its limit, with the fields of its error.
 *
 * @since 0.1.0
 * @category events
 */
export interface TimedOut
  extends Policy.Event<"timeout", "Timeout">, Pick<TimeoutExceeded, "limit" | "elapsed" | "stalled"> {
  readonly error: TimeoutExceeded
}

/**
 * What happens in a timeout.
 *
 * @since 0.1.0
 * @category events
 */
export type Event = TimedOut

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<E1 = never, R1 = never, E2 = never, R2 = never> {
  /**
   * How long the effect may take, or an effect that computes it for each call. With zero (or less, if computed) the effect does not
   * start; an infinite limit never ends a call.
   */
  readonly limit: DurationInput | Effect.Effect<DurationInput, E1, R1>
  /** Whether the call returns at the limit without waiting for the effect, even an uninterruptible one. Default: `false`. */
  readonly disconnect?: boolean | undefined
  /** The name in the error and in events. Default: `"timeout"`. */
  readonly name?: string | undefined
  /** Called when the limit has passed and the effect is gone, before `TimeoutExceeded` reaches the caller. */
  readonly onTimeout?: ((event: TimedOut) => Effect.Effect<unknown, E2, R2>) | undefined
}

/**
 * Fails with {@link TimeoutExceeded} when the effect takes longer than the limit.
 *
 * **When to use**: around every call that leaves the process, innermost: a slow dependency then costs its callers a known time,
 * and what stands further out (breaker, retry, fallback) sees a typed failure. Outside a retry it limits all attempts together.
 *
 * **Time line**: at the limit the effect is interrupted. The failure comes back when its finalizers are done, or at once with
 * `disconnect`. When the effect finishes first, its exit comes back as it was. Either way, what it forked ends with it.
 *
 * **Compared with `Effect.timeout`**: the meaning is the same, at a fraction of the cost, because the effect runs in the caller's
 * fiber where it can. It sees that fiber's id, and a `FiberRef` made with `fork` or `join` is neither forked nor joined.
 *
 * **Adds** `TimeoutExceeded`, and the errors and requirements of a computed limit and of the listener.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Timeout } from "effect-resilience"
 *
 * const slow = Effect.as(Effect.sleep("5 seconds"), "answer")
 *
 * const program = slow.pipe(
 *   Timeout.timeout("1 second"),
 *   Effect.catchTag("TimeoutExceeded", ({ limit }) => Effect.succeed(`no answer within ${limit}`))
 * )
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const timeout: {
  <E1 = never, R1 = never, E2 = never, R2 = never>(
    options: DurationInput | Options<E1, R1, E2, R2>
  ): Policy.Policy<TimeoutExceeded | E1 | E2, R1 | R2>
  <A, E, R, E1 = never, R1 = never, E2 = never, R2 = never>(
    self: Effect.Effect<A, E, R>,
    options: DurationInput | Options<E1, R1, E2, R2>
  ): Effect.Effect<A, E | TimeoutExceeded | E1 | E2, R | R1 | R2>
} = combinator(make, (self: Body, input: DurationInput | AnyOptions) => applied(self, read(input)))

type AnyOptions = Options<unknown, unknown, unknown, unknown>

/** The options as read. Everything else is derived on demand, since a timeout may be built for each call. */
interface Plan extends Pick<AnyOptions, "onTimeout"> {
  readonly limit: number | Effect.Effect<DurationInput, unknown, unknown>
  readonly disconnect: boolean
  readonly name: string
}

const read = (input: DurationInput | AnyOptions): Plan => {
  if (!isOptions(input))
    return { limit: millisOf(input), disconnect: false, name: kind, onTimeout: undefined }
  object(policyName, "", input, shape)
  const { disconnect = false, limit, name = kind, onTimeout } = input
  return { limit: Effect.isEffect(limit) ? limit : millisOf(limit), disconnect, name, onTimeout }
}

const millisOf = (limit: DurationInput): number => optionMillis(policyName, "limit", limit, range)

const applied = (self: Body, plan: Plan): Body => {
  const { limit } = plan
  return typeof limit === "number"
    ? withLimit(self, new Limited(plan, limit))
    : Effect.flatMap(limit, (computed) => withLimit(self, new Limited(plan, computedMillis(computed))))
}

function make(input: DurationInput | AnyOptions): (self: Body) => Body {
  const plan = read(input)
  const { disconnect, limit, name } = plan
  const shown = typeof limit === "number" ? Duration.millis(limit) : "computed"
  const described = { kind, name, settings: { limit: shown, disconnect: disconnect || undefined } }
  return typeof limit === "number" && limit > 0 && limit < Infinity
    ? policyOf(described, new LimitGuard(new Limited(plan, limit)))
    : Policy.make(described, (self: Body) => applied(self, plan))
}

class Limited implements Limit<never, unknown, unknown> {
  constructor(
    private readonly plan: Plan,
    readonly millis: number
  ) {}

  get disconnect(): boolean {
    return this.plan.disconnect
  }

  onTimeout(elapsed: number, stalled?: number): Effect.Effect<never, unknown, unknown> {
    const { millis, plan } = this
    const fields = { name: plan.name, limit: Duration.millis(millis), elapsed: Duration.millis(elapsed) }
    const late = stalled === undefined ? {} : { stalled: Duration.millis(stalled) }
    const error = withoutStack(() => new TimeoutExceeded({ ...fields, ...late }))
    return after<never, unknown, unknown>(telling(plan.name, plan)(error), Exit.fail(error))
  }
}

const kind = "timeout"
const policyName = "Timeout.timeout"

const shape: Shape<Options> = { limit: whereRead, disconnect: flag, name: text, onTimeout: callable }

const range = { zero: true, infinite: true }

const isOptions = (input: DurationInput | AnyOptions): input is AnyOptions =>
  isObject(input) && !Duration.isDuration(input) && !Effect.isEffect(input) && Object.keys(input).length > 0

const computedMillis = (computed: DurationInput): number => {
  const millis = runtimeMillis(computed)
  if (millis === undefined) {
    throw new InvalidOption(policyName, "limit", computed, "an effect that computes a duration")
  }
  return millis
}
