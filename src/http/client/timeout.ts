/** A limit for a request, and optionally for reading its response. */
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import {
  callable,
  type Caller,
  join,
  object,
  oneOf,
  type Shape,
  text,
  whereRead
} from "../../core/options.js"
import { type DurationInput, isOptions, optionMillis } from "../../internal/duration.js"
import * as Listeners from "../../internal/listeners.js"
import { withoutStack } from "../../policy/define.js"
import * as Time from "../../internal/time.js"
import { telling } from "../../timeout/telling.js"
import * as Timeout from "../../timeout/Timeout.js"
import type * as HttpResilience from "./HttpResilience.js"
import type { Answer, Call } from "./call.js"
import * as Part from "./part.js"
import { type Coverage, type Deadline, TimedResponse } from "./timedResponse.js"

type Response = HttpClientResponse.HttpClientResponse
type Input = DurationInput | HttpResilience.TimeoutOptions

const shape: Shape<HttpResilience.TimeoutOptions> = {
  limit: whereRead,
  body: (policy, option, value) => void oneOf<unknown>(policy, option, value, true, false, "buffered"),
  name: text,
  onTimeout: callable
}

interface Defaults {
  readonly body?: HttpResilience.TimeoutOptions["body"]
  readonly name?: string
}

/** Checks a limit, and returns it in milliseconds. */
export const check = ({ path, policy }: Caller, input: Input): number => {
  if (!isOptions(input)) return limitMillis(policy, path ?? "limit", input)
  object(policy, path ?? "", input, shape)
  return limitMillis(policy, join(path, "limit"), input.limit)
}

// Zero would let no request be answered.
const limitMillis = (policy: string, option: string, limit: DurationInput): number =>
  optionMillis(policy, option, limit, { infinite: true })

export const make = <P extends Part.Any>(
  input: Input,
  defaults: Defaults = {},
  caller: Caller = { policy: "HttpResilience.timeout" }
): P => {
  const millis = check(caller, input)
  const given: HttpResilience.TimeoutOptions = isOptions(input) ? input : { limit: input }
  const { body = defaults.body, limit, name = defaults.name, onTimeout } = given
  const coverage = coverageOf(body)
  const policy = Timeout.timeout({ limit, name, onTimeout })
  const tell = telling(policy.name, {
    onTimeout: onTimeout && ((event) => Listeners.notifyShared(policy.name, onTimeout, event))
  })

  const exceeded = (elapsed: number, stalled?: number) =>
    withoutStack(
      () =>
        new Timeout.TimeoutExceeded({
          name: policy.name,
          limit: Duration.millis(millis),
          elapsed: Duration.millis(elapsed),
          ...(stalled === undefined ? {} : { stalled: Duration.millis(stalled) })
        })
    )

  const described = {
    kind: policy.kind,
    name: policy.name,
    settings: { ...policy.settings, body: body || undefined }
  }
  const limited = (self: Answer, call: Call): Answer => Effect.catchAllCause(policy(self), call.lost)
  if (coverage === undefined || millis === Infinity) return Part.make(described, Part.covering(limited))
  return Part.make(
    described,
    Part.covering((self, call) =>
      Effect.contextWithEffect((context: Context.Context<unknown>) => {
        const { clock } = call
        const startedAt = Time.monotonicMillis(clock)
        const deadline: Deadline = {
          clock,
          instant: startedAt + millis,
          coverage,
          error: (stalled) => exceeded(Time.monotonicMillis(clock) - startedAt, stalled),
          tell: (error) => Effect.provide(tell(error) ?? Effect.void, context)
        }
        return Effect.map(
          limited(self, call),
          (response): Response => new TimedResponse(response, deadline, call.closing(response))
        )
      })
    )
  )
}

const coverageOf = (body: HttpResilience.TimeoutOptions["body"]): Coverage | undefined =>
  body === true ? "all" : body === "buffered" ? body : undefined
