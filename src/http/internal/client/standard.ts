/** All parts together: which are in, in which order, and which options contradict one another. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { InvalidOption } from "../../../core/options.js"
import { optionMillis, shown } from "../../../internal/duration.js"
import * as RetryBudget from "../../../RetryBudget.js"
import type * as HttpResilience from "../../HttpResilience.js"
import { onceChecked } from "../once.js"
import * as Hedge from "./hedge.js"
import * as Part from "./part.js"
import * as Retry from "./retry.js"
import { sealed } from "./sealed.js"
import * as Shared from "./shared.js"
import * as Timeout from "./timeout.js"

type Client = HttpClient.HttpClient.With<unknown, unknown>

const constructor = "HttpResilience.standard"
const defaultTotal = "30 seconds"
const defaultAttempt = "10 seconds"

export const standard = <P extends Part.Any>(options: HttpResilience.StandardOptions): P => {
  const { attempt, total } = readLimits(options)
  const budget = options.budget === false ? undefined : (options.budget ?? onceChecked(RetryBudget.make()))

  const outerToInner = [
    place("totalTimeout", total, (own) =>
      Timeout.make<Part.Any>(own, { name: "total-timeout", body: "buffered" })
    ),
    place<never>("fallback", options.fallback, neverMade),
    place<never>("cache", options.cache, neverMade),
    place("rateLimiter", options.rateLimiter, Shared.rateLimiter<Part.Any>),
    place("bulkhead", options.bulkhead, Shared.bulkhead<Part.Any>),
    place("retry", options.retry === undefined ? {} : options.retry, (own) =>
      Retry.make<Part.Any>({ ...own, budget: own.budget ?? budget })
    ),
    place("hedge", options.hedge, (own) => Hedge.make<Part.Any>({ ...own, budget: own.budget ?? budget })),
    place(
      "circuitBreaker",
      options.circuitBreaker === undefined ? {} : options.circuitBreaker,
      Shared.circuitBreaker<Part.Any>
    ),
    place("attemptTimeout", attempt, (own) => Timeout.make<Part.Any>(own, { name: "attempt-timeout" }))
  ].filter((part) => part !== undefined)

  const kind = "http-client"
  const settings = { parts: outerToInner.map((part) => ({ [part.kind]: part.settings })) }
  const make = Part.isFallback(options.fallback) ? Part.makeFallback<P> : Part.make<P>
  return make({ kind, name: kind, settings }, (client) =>
    outerToInner.reduceRight<Client>((inner, part) => part(inner), client)
  )
}

const place = <Options>(
  option: string,
  value: Options | Part.Any | false | undefined,
  make: (options: Options) => Part.Any
): Part.Any | undefined => {
  if (value === false || value === undefined) return undefined
  if (Part.isPart(value)) return value
  // A limit is checked where it is read.
  if (!option.endsWith("Timeout") && (typeof value !== "object" || value === null)) {
    throw new InvalidOption(constructor, option, value, "options, a part, or false")
  }
  return make(value)
}

const neverMade = (options: never): Part.Any => options

type Limit = NonNullable<HttpResilience.StandardOptions["totalTimeout"]>

/** The limits of an attempt and of all of them. Neither is known of a part of the user's own. */
const readLimits = ({ attemptTimeout, totalTimeout = defaultTotal }: HttpResilience.StandardOptions) => {
  const ofTotal = limitOf("totalTimeout", totalTimeout)
  const ofAttempt = limitOf("attemptTimeout", attemptTimeout ?? defaultAttempt)
  const isLonger = ofTotal !== undefined && ofAttempt !== undefined && ofAttempt.millis > ofTotal.millis
  if (isLonger && attemptTimeout !== undefined) {
    const range = `at most "totalTimeout" (${Duration.format(Duration.millis(ofTotal.millis))})`
    throw new InvalidOption(constructor, "attemptTimeout", shown(ofAttempt.input), range)
  }
  // The default gives way to a total that is shorter.
  return { attempt: attemptTimeout ?? (isLonger ? ofTotal.millis : defaultAttempt), total: totalTimeout }
}

const limitOf = (option: string, value: Limit) => {
  if (value === false || Part.isPart(value)) return undefined
  const input = Timeout.isOptions(value) ? value.limit : value
  return { input, millis: optionMillis(constructor, option, input, { zero: true, infinite: true }) }
}

/** The client of the context with all parts, made where the layer is, with what the layer was given. */
export const layer = (
  options: HttpResilience.StandardOptions
): Layer.Layer<HttpClient.HttpClient, never, unknown> =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.contextWith((given: Context.Context<unknown>) => {
      const client = sealed(standard<Part.Any>(options)(Context.unsafeGet(given, HttpClient.HttpClient)))
      return HttpClient.transformResponse(
        client,
        Effect.mapInputContext((asking: Context.Context<never>) => Context.merge(given, asking))
      )
    })
  )
