/** All parts together: which are in, in which order, and which options contradict one another. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type Caller, InvalidOption, isObject, object, type Shape, whereRead } from "../../core/options.js"
import { shown } from "../../internal/duration.js"
import { check as checkBudget } from "../../retryBudget/source.js"
import * as RetryBudget from "../../retryBudget/RetryBudget.js"
import type * as HttpResilience from "./HttpResilience.js"
import { onceChecked } from "../internal/once.js"
import * as Hedge from "./hedge.js"
import * as Part from "./part.js"
import * as Retry from "./retry.js"
import { sealed } from "./sealed.js"
import type { Preparation } from "./send.js"
import * as Shared from "./shared.js"
import * as Timeout from "./timeout.js"

const places: Shape<HttpResilience.StandardOptions> = {
  totalTimeout: whereRead,
  fallback: whereRead,
  cache: whereRead,
  rateLimiter: whereRead,
  bulkhead: whereRead,
  retry: whereRead,
  hedge: whereRead,
  budget: (policy, option, value) => {
    if (value !== false) checkBudget(policy, option, value)
  },
  circuitBreaker: whereRead,
  attemptTimeout: whereRead
}

const defaultTotal = "30 seconds"
const defaultAttempt = 10_000

/**
 * The most that the default leaves to an attempt. It has to end before the total does: the total interrupts an attempt, which
 * counts for nothing, and a server that hangs would open no circuit.
 */
const mostWithin = (total: { readonly millis: number } | undefined): number =>
  total === undefined ? Infinity : Math.ceil(total.millis * 0.9)

export const standard = <P extends Part.Any>(
  options: HttpResilience.StandardOptions,
  policy = "HttpResilience.standard"
): P => {
  object(policy, "", options, places)
  const { attempt, total } = readLimits(policy, options)
  const place = <Options>(
    option: keyof HttpResilience.StandardOptions,
    value: Options | Part.Any | false | undefined,
    make: ((options: Options, caller: Caller) => Part.Any) | undefined
  ): Part.Any | undefined => {
    if (value === false || value === undefined) return undefined
    if (Part.isPart(value)) return value
    if (make === undefined) throw new InvalidOption(policy, option, value, "a part, or false")
    // A limit is checked where it is read.
    if (!option.endsWith("Timeout") && !isObject(value)) {
      throw new InvalidOption(policy, option, value, "options, a part, or false")
    }
    return make(value, { policy, path: option })
  }
  const budget = options.budget === false ? undefined : (options.budget ?? onceChecked(RetryBudget.make()))

  const outerToInner = [
    place("totalTimeout", total, (own, caller) =>
      Timeout.make<Part.Any>(own, { name: "total-timeout", body: "buffered" }, caller)
    ),
    place("fallback", options.fallback, undefined),
    place("cache", options.cache, undefined),
    place("rateLimiter", options.rateLimiter, Shared.rateLimiter<Part.Any>),
    place("bulkhead", options.bulkhead, Shared.bulkhead<Part.Any>),
    place("retry", options.retry === undefined ? {} : options.retry, (own, caller) =>
      Retry.make<Part.Any>({ ...own, budget: own.budget === undefined ? budget : own.budget }, caller)
    ),
    place("hedge", options.hedge, (own, caller) =>
      Hedge.make<Part.Any>({ ...own, budget: own.budget === undefined ? budget : own.budget }, caller)
    ),
    place(
      "circuitBreaker",
      options.circuitBreaker === undefined ? {} : options.circuitBreaker,
      Shared.circuitBreaker<Part.Any>
    ),
    place("attemptTimeout", attempt, (own, caller) =>
      Timeout.make<Part.Any>(own, { name: "attempt-timeout" }, caller)
    )
  ].filter((part) => part !== undefined)

  const kind = "http-client"
  const settings = { parts: [...outerToInner].reverse() }
  const make = Part.isFallback(options.fallback) ? Part.makeFallback<P> : Part.make<P>
  const does = outerToInner.map(Part.doesOf)
  const prepare = does
    .flatMap(({ prepare }) => prepare ?? [])
    .reduceRight<Preparation | undefined>(
      (before, prepare) => (before ? (request) => Effect.flatMap(before(request), prepare) : prepare),
      undefined
    )
  return make(
    { kind, name: kind, settings },
    { around: Part.sequence(does.map(({ around }) => around)), prepare }
  )
}

type Limit = NonNullable<HttpResilience.StandardOptions["totalTimeout"]>

/** The limits of an attempt and of all of them. Neither is known of a part of the user's own. */
const readLimits = (
  policy: string,
  { attemptTimeout, totalTimeout = defaultTotal }: HttpResilience.StandardOptions
) => {
  const ofTotal = limitOf(policy, "totalTimeout", totalTimeout)
  const ofAttempt = limitOf(
    policy,
    "attemptTimeout",
    attemptTimeout === undefined ? defaultAttempt : attemptTimeout
  )
  const isLonger = ofTotal !== undefined && ofAttempt !== undefined && ofAttempt.millis > ofTotal.millis
  if (isLonger && attemptTimeout !== undefined) {
    const range = `at most "totalTimeout" (${Duration.format(Duration.millis(ofTotal.millis))})`
    throw new InvalidOption(policy, "attemptTimeout", shown(ofAttempt.input), range)
  }
  return { attempt: attemptTimeout ?? Math.min(defaultAttempt, mostWithin(ofTotal)), total: totalTimeout }
}

const limitOf = (policy: string, option: string, value: Limit) => {
  if (value === false || Part.isPart(value)) return undefined
  const input = Timeout.isOptions(value) ? value.limit : value
  return { input, millis: Timeout.check({ policy, path: option }, value) }
}

/** The client of the context with all parts, made where the layer is, with what the layer was given. */
export const layer = (
  options: HttpResilience.StandardOptions
): Layer.Layer<HttpClient.HttpClient, never, unknown> =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.contextWith((given: Context.Context<unknown>) => {
      const client = sealed(
        standard<Part.Any>(options, "HttpResilience.layer")(Context.unsafeGet(given, HttpClient.HttpClient))
      )
      return HttpClient.transformResponse(
        client,
        Effect.mapInputContext((asking: Context.Context<never>) => Context.merge(given, asking))
      )
    })
  )
