/** All parts together: which, in which order, and which options contradict one another. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import { InvalidOption, object, type Shape, whereRead } from "../../core/options.js"
import { isOptions, shown } from "../../internal/duration.js"
import * as RetryBudget from "../../retryBudget/RetryBudget.js"
import type * as HttpResilience from "./HttpResilience.js"
import { onceEffect } from "../internal/once.js"
import { isWhereRead, places } from "../internal/shared.js"
import * as Hedge from "./hedge.js"
import * as Part from "./part.js"
import * as Retry from "./retry.js"
import { sealed } from "./sealed.js"
import * as Shared from "./shared.js"
import * as Timeout from "./timeout.js"

const shape: Shape<HttpResilience.StandardOptions> = {
  totalTimeout: whereRead,
  fallback: whereRead,
  cache: whereRead,
  rateLimiter: whereRead,
  bulkhead: whereRead,
  retry: whereRead,
  hedge: whereRead,
  budget: (policy, option, value) => {
    if (value === false || Effect.isEffect(value) || Predicate.hasProperty(value, RetryBudget.TypeId)) return
    throw new InvalidOption(policy, option, value, "a RetryBudget or its tag")
  },
  circuitBreaker: whereRead,
  attemptTimeout: whereRead
}

const defaultTotal = "30 seconds"
const defaultAttempt = 10_000

/** The default limit of an attempt ends before the total does, or a server that hangs would open no circuit. */
const mostWithin = (total: { readonly millis: number } | undefined): number =>
  total === undefined ? Infinity : Math.ceil(total.millis * 0.9)

export const standard = <P extends Part.Any>(
  options: HttpResilience.StandardOptions,
  policy = "HttpResilience.standard"
): P => {
  object(policy, "", options, shape)
  const { attempt, total } = readLimits(policy, options)
  const place = places<Part.Any>(policy, Part.isPart)
  const orDefault = <O>(value: O | undefined) => (value === undefined ? {} : value)
  const budget = options.budget === false ? undefined : (options.budget ?? onceEffect(RetryBudget.make()))
  const withBudget = <O extends { readonly budget?: RetryBudget.Source | undefined }>(own: O): O => ({
    ...own,
    budget: own.budget === undefined ? budget : own.budget
  })

  const outerToInner = [
    ...place(
      "totalTimeout",
      total,
      (own, caller) => Timeout.make(own, { name: "total-timeout", body: "buffered" }, caller),
      isWhereRead
    ),
    ...place("fallback", options.fallback),
    ...place("cache", options.cache),
    ...place("rateLimiter", options.rateLimiter, (own, caller) => Shared.rateLimiter(own, {}, caller)),
    ...place("bulkhead", options.bulkhead, (own, caller) => Shared.bulkhead(own, {}, caller)),
    ...place("retry", orDefault(options.retry), (own, caller) => Retry.make(withBudget(own), caller)),
    ...place("hedge", options.hedge, (own, caller) => Hedge.make(withBudget(own), caller)),
    ...place("circuitBreaker", orDefault(options.circuitBreaker), (own, caller) =>
      Shared.circuitBreaker(own, {}, caller)
    ),
    ...place(
      "attemptTimeout",
      attempt,
      (own, caller) => Timeout.make(own, { name: "attempt-timeout" }, caller),
      isWhereRead
    )
  ]

  const kind = "http-client"
  const settings = { parts: [...outerToInner].reverse() }
  const make = Part.isFallback(options.fallback) ? Part.makeFallback<P> : Part.make<P>
  return make({ kind, name: kind, settings }, Part.together(outerToInner))
}

type Limit = NonNullable<HttpResilience.StandardOptions["totalTimeout"]>

/** The limits of an attempt and of all of them. Those of a user's own part are unknown. */
const readLimits = (
  policy: string,
  { attemptTimeout, totalTimeout = defaultTotal }: HttpResilience.StandardOptions
) => {
  const ofTotal = limitOf(policy, "totalTimeout", totalTimeout)
  const given = attemptTimeout === undefined ? defaultAttempt : attemptTimeout
  const ofAttempt = limitOf(policy, "attemptTimeout", given)
  const isLonger = ofTotal !== undefined && ofAttempt !== undefined && ofAttempt.millis > ofTotal.millis
  if (isLonger && attemptTimeout !== undefined) {
    const range = `at most "totalTimeout" (${Duration.format(Duration.millis(ofTotal.millis))})`
    throw new InvalidOption(policy, "attemptTimeout", shown(ofAttempt.input), range)
  }
  return { attempt: attemptTimeout ?? Math.min(defaultAttempt, mostWithin(ofTotal)), total: totalTimeout }
}

const limitOf = (policy: string, option: string, value: Limit) => {
  if (value === false || Part.isPart(value)) return undefined
  const input = isOptions(value) ? value.limit : value
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
