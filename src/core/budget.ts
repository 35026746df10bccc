/**
 * What retries and hedges may cost: a pure step over an immutable state. Tokens are counted in floating point. What is short of a
 * token by a millionth or less is a token, so that ten successes at a ratio of 0.1 are one retry.
 */
import * as Buckets from "./buckets.js"
import { finite, integer, InvalidOption, isObject, onBehalfOf } from "./options.js"

/** A bucket, full at first. A success puts `ratio` tokens in, or with `refund` what the last retry took; a retry takes its cost. */
export interface Successes {
  readonly _tag: "successes"
  readonly ratio: number
  readonly capacity: number
  /** Tokens put in by time alone. */
  readonly perSecond: number
  readonly refund: boolean
}

/** A request puts `ratio` tokens in, a retry takes its cost out; both count for `window` milliseconds. `perSecond` is a reserve. */
export interface Requests {
  readonly _tag: "requests"
  readonly ratio: number
  readonly window: number
  readonly perSecond: number
}

/** A failure takes a token out, a success puts `ratio` in; there are no retries with half of the tokens or less. */
export interface Throttling {
  readonly _tag: "throttling"
  readonly ratio: number
  readonly capacity: number
}

export type Rule = Successes | Requests | Throttling

/** Requests and what was spent, in one bucket of a window. */
interface Tally {
  readonly requests: number
  readonly spent: number
}

export interface Tokens {
  readonly _tag: "tokens"
  readonly tokens: number
  readonly at: number
}

export interface Window extends Buckets.Buckets<Tally> {
  readonly _tag: "window"
}

export type Budget = Tokens | Window

// -------------------------------------------------------------------------------------------- checked construction

export const successes = (options: Omit<Successes, "_tag">): Successes => {
  const policy = "RetryBudget.successes"
  finite(policy, "ratio", options.ratio, 0)
  finite(policy, "capacity", options.capacity, 0)
  finite(policy, "minPerSecond", options.perSecond, 0)
  return { _tag: "successes", ...options }
}

export const requests = (options: Omit<Requests, "_tag">): Requests => {
  const policy = "RetryBudget.requests"
  finite(policy, "ratio", options.ratio, 0)
  finite(policy, "minPerSecond", options.perSecond, 0)
  return { _tag: "requests", ...options }
}

/** The bounds are those of gRPC: up to 1000 tokens, and a ratio of which a thousandth is the smallest part. */
export const throttling = (options: Omit<Throttling, "_tag">): Throttling => {
  const policy = "RetryBudget.throttling"
  integer(policy, "maxTokens", options.capacity, 1, 1000)
  if (!Number.isFinite(options.ratio) || options.ratio < 0.001) {
    throw new InvalidOption(policy, "tokenRatio", options.ratio, "a finite number of at least 0.001")
  }
  return { _tag: "throttling", ...options }
}

/** A rule that is given as a value, which anything may have made. */
export const checked = (policy: string, option: string, rule: Rule): void => {
  const make = isObject(rule) && Object.hasOwn(makers, rule._tag) ? makers[rule._tag] : undefined
  if (make === undefined) throw new InvalidOption(policy, option, rule, "a rule made by RetryBudget")
  onBehalfOf({ policy, path: option }, `RetryBudget.${rule._tag}`, () => make(rule as never))
}

const makers: { readonly [Tag in Rule["_tag"]]: (rule: Extract<Rule, { readonly _tag: Tag }>) => Rule } = {
  successes,
  requests,
  throttling
}

// --------------------------------------------------------------------------------------------------------------- state

const none = Buckets.empties<Tally>({ requests: 0, spent: 0 })

const tokens = (count: number, at: number): Tokens => ({ _tag: "tokens", tokens: count, at })

/** A budget as it is made: full, with no requests seen. */
export const initial = (rule: Rule, now: number): Budget =>
  rule._tag === "requests" ? emptyWindow(rule, now) : tokens(rule.capacity, now)

export const capacity = (rule: Rule): number => (rule._tag === "requests" ? Infinity : rule.capacity)

/** How many tokens there are to spend, to a millionth. With throttling these are the ones above the half that is left alone. */
export const balance = (rule: Rule, budget: Budget, now: number): number =>
  Math.round(available(rule, budget, now) / rounding) / (1 / rounding)

const available = (rule: Rule, budget: Budget, now: number): number => {
  if (rule._tag === "requests") return Math.max(0, inWindow(rule, windowAt(rule, budget, now)))
  const { tokens } = tokensAt(rule, budget, now)
  return rule._tag === "throttling" ? Math.max(0, tokens - rule.capacity / 2) : tokens
}

// --------------------------------------------------------------------------------------------------------------- steps

/** A call begins. */
export const requested = (rule: Rule, budget: Budget, now: number): Budget =>
  rule._tag === "requests" ? counted(rule, budget, 1, 0, now) : budget

/** A call succeeded, after retries of which the last one took `taken` tokens. */
export const succeeded = (rule: Rule, budget: Budget, taken: number, now: number): Budget => {
  if (rule._tag === "requests") return budget
  const put = rule._tag === "successes" && rule.refund && taken > 0 ? taken : rule.ratio
  return add(rule, budget, put, now)
}

/** An attempt failed in a way that could be tried again. */
export const failed = (rule: Rule, budget: Budget, now: number): Budget =>
  rule._tag === "throttling" ? add(rule, budget, -1, now) : budget

/** The budget with what time has put in so far: before its rule is changed. */
export const settled = (rule: Rule, budget: Budget, now: number): Budget =>
  rule._tag === "successes" ? tokensAt(rule, budget, now) : budget

/** The budget after a retry or hedge was paid for, or `undefined` when there is too little in it. */
export const withdraw = (rule: Rule, budget: Budget, cost: number, now: number): Budget | undefined => {
  const there = available(rule, budget, now)
  // What throttling asks for is that there is anything at all above the half; nothing is taken for it.
  // Stryker disable next-line EqualityOperator: no number of tokens above a half is exactly a millionth in floating point
  if (rule._tag === "throttling") return there > rounding ? budget : undefined
  if (there + rounding < cost) return undefined
  return rule._tag === "requests" ? counted(rule, budget, 0, cost, now) : add(rule, budget, -cost, now)
}

/** The bucket of the window that a withdrawal has just been counted in. */
export const bucketOf = (budget: Budget): number => (budget._tag === "window" ? budget.bucket : 0)

/** The budget after a paid retry was not made. In a window, what is given back goes where it was taken, if that is still in it. */
export const giveBack = (rule: Rule, budget: Budget, cost: number, bucket: number, now: number): Budget => {
  if (rule._tag === "throttling") return budget
  if (rule._tag === "successes") return add(rule, budget, cost, now)
  const window = windowAt(rule, budget, now)
  const less = (tally: Tally): Tally => ({ ...tally, spent: tally.spent - cost })
  const age = window.bucket - bucket
  if (age === 0) return { ...window, current: less(window.current) }
  const place = window.older.length - age
  return { ...window, older: window.older.map((tally, index) => (index === place ? less(tally) : tally)) }
}

const rounding = 1e-6

// -------------------------------------------------------------------------------------------------------------- tokens

const add = (rule: Successes | Throttling, budget: Budget, put: number, now: number): Tokens => {
  const { at, tokens: before } = tokensAt(rule, budget, now)
  return tokens(Math.min(rule.capacity, Math.max(0, before + put)), at)
}

/** The tokens with those that time has put in. A clock that lies back changes nothing. */
const tokensAt = (rule: Successes | Throttling, budget: Budget, now: number): Tokens => {
  if (budget._tag !== "tokens") return tokens(rule.capacity, now)
  const perSecond = rule._tag === "successes" ? rule.perSecond : 0
  const at = Math.max(budget.at, now)
  return tokens(Math.min(rule.capacity, budget.tokens + ((at - budget.at) * perSecond) / 1000), at)
}

// -------------------------------------------------------------------------------------------------------------- window

const emptyWindow = (rule: Requests, now: number): Window => ({
  _tag: "window",
  ...Buckets.start(rule.window, none, now)
})

const windowAt = (rule: Requests, budget: Budget, now: number): Window => {
  if (budget._tag !== "window") return emptyWindow(rule, now)
  const buckets = Buckets.advance(budget, none, now)
  // Stryker disable next-line ConditionalExpression: saves a copy, which would be the same
  return buckets === budget ? budget : { _tag: "window", ...buckets }
}

const counted = (rule: Requests, budget: Budget, requests: number, spent: number, now: number): Window => {
  const { bucket, current, older, within } = windowAt(rule, budget, now)
  const tally = { requests: current.requests + requests, spent: current.spent + spent }
  return { _tag: "window", within, bucket, current: tally, older }
}

const inWindow = ({ perSecond, ratio, window }: Requests, { current, older }: Window): number => {
  let { requests, spent } = current
  for (const tally of older) {
    requests += tally.requests
    spent += tally.spent
  }
  return requests * ratio + (perSecond * window) / 1000 - spent
}
