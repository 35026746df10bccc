/** `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-11). A malformed field says nothing at all. */
import { defined } from "../options.js"
import { secondsToMillis } from "./retryAfter.js"
import type { BareItem, Item } from "./structuredFields.js"
import { formatBytes, formatString, maxInteger, parseList } from "./structuredFields.js"

/** An item of `RateLimit`: what is left. */
export interface Quota {
  /** The policy that the quota belongs to. */
  readonly name: string
  /** `r`: the quota that is left, in units of the policy. */
  readonly available: number
  /** `t`: for how many seconds no more than that can be used. */
  readonly windowSeconds?: number | undefined
  /** `pk`: whose quota it is, where a server has many. */
  readonly partitionKey?: Uint8Array | undefined
}

/** An item of `RateLimit-Policy`: what is allowed. */
export interface QuotaPolicy {
  readonly name: string
  /** `q`: how much is allowed within the window. */
  readonly quota: number
  /** `qu`: what is counted. Without it requests are. */
  readonly unit?: string | undefined
  /** `w`: the length of the window in seconds. */
  readonly windowSeconds?: number | undefined
  /** `pk`: whose quota it is, where a server has many. */
  readonly partitionKey?: Uint8Array | undefined
}

/** The items of a `RateLimit` field: none when it is missing or malformed. */
export const parseRateLimit = (field: string | undefined): ReadonlyArray<Quota> =>
  parseItems(field, ({ parameters, value }) => {
    const name = string(value)
    const available = quantity(parameters.get("r"))
    const windowSeconds = optional(parameters.get("t"), quantity)
    const partitionKey = optional(parameters.get("pk"), bytes)
    if (name === undefined || available === undefined) return undefined
    if (windowSeconds === malformed || partitionKey === malformed) return undefined
    return { name, available, ...defined({ windowSeconds, partitionKey }) }
  })

/** The items of a `RateLimit-Policy` field: none when it is missing or malformed. */
export const parseRateLimitPolicy = (field: string | undefined): ReadonlyArray<QuotaPolicy> =>
  parseItems(field, ({ parameters, value }) => {
    const name = string(value)
    const quota = quantity(parameters.get("q"))
    const unit = optional(parameters.get("qu"), string)
    const windowSeconds = optional(parameters.get("w"), positive)
    const partitionKey = optional(parameters.get("pk"), bytes)
    if (name === undefined || quota === undefined) return undefined
    if (unit === malformed || windowSeconds === malformed || partitionKey === malformed) return undefined
    return { name, quota, ...defined({ unit, windowSeconds, partitionKey }) }
  })

/**
 * The value of a `RateLimit` field, empty without items. It always reads back: characters outside of printable ASCII become `?`,
 * what is left is rounded down and a window up, numbers are brought into range, and a window that is not a number is left out.
 */
export const formatRateLimit = (quotas: ReadonlyArray<Quota>): string =>
  formatItems(quotas, ({ available, name, partitionKey, windowSeconds }) => [
    formatString(name),
    `r=${bounded(Math.floor(available), 0)}`,
    ...parameter("t", formatWindow(windowSeconds, 0)),
    ...parameter("pk", partitionKey && formatBytes(partitionKey))
  ])

/** The value of a `RateLimit-Policy` field, with the same care as {@link formatRateLimit}. */
export const formatRateLimitPolicy = (policies: ReadonlyArray<QuotaPolicy>): string =>
  formatItems(policies, ({ name, partitionKey, quota, unit, windowSeconds }) => [
    formatString(name),
    `q=${bounded(Math.floor(quota), 0)}`,
    ...parameter("qu", unit === undefined ? undefined : formatString(unit)),
    ...parameter("w", formatWindow(windowSeconds, 1)),
    ...parameter("pk", partitionKey && formatBytes(partitionKey))
  ])

/** How many milliseconds there is no quota for: the longest window among the items with nothing left, if any. */
export const quotaHint = (quotas: ReadonlyArray<Quota>): number | undefined => {
  const windows = quotas.flatMap(({ available, windowSeconds }) =>
    available === 0 && windowSeconds !== undefined ? [secondsToMillis(windowSeconds)] : []
  )
  return windows.length === 0 ? undefined : windows.reduce((longest, window) => Math.max(longest, window))
}

/** Whether the `Age` field (RFC 9111, section 5.1) shows that a response comes from a cache, so that its quotas are another's. */
export const isFromCache = (age: string | undefined): boolean =>
  age !== undefined && /^[ \t]*0*[1-9][0-9]*[ \t]*(?:,|$)/.test(age)

// ------------------------------------------------------------------------------------------------------------ reading

const parseItems = <A>(field: string | undefined, read: (item: Item) => A | undefined): ReadonlyArray<A> => {
  if (field === undefined) return []
  const items: Array<A> = []
  for (const item of parseList(field) ?? []) {
    const known = read(item)
    if (known === undefined) return []
    items.push(known)
  }
  return items
}

/** A parameter that is there and of another type than it has to be. */
const malformed = null

const optional = <A>(
  parameter: BareItem | undefined,
  read: (parameter: BareItem) => A | undefined
): A | undefined | typeof malformed => (parameter === undefined ? undefined : (read(parameter) ?? malformed))

const string = (item: BareItem): string | undefined => (item._tag === "string" ? item.value : undefined)

const bytes = (item: BareItem): Uint8Array | undefined => (item._tag === "bytes" ? item.value : undefined)

const quantity = (item: BareItem | undefined): number | undefined =>
  item?._tag === "integer" && item.value >= 0 ? item.value : undefined

const positive = (item: BareItem): number | undefined => quantity(item) || undefined

// ------------------------------------------------------------------------------------------------------------ writing

const formatItems = <A>(items: ReadonlyArray<A>, parts: (item: A) => ReadonlyArray<string>): string =>
  items.map((item) => parts(item).join(";")).join(", ")

const parameter = (key: string, value: string | undefined): ReadonlyArray<string> =>
  value === undefined ? [] : [`${key}=${value}`]

const formatWindow = (seconds: number | undefined, min: number): string | undefined =>
  seconds === undefined || Number.isNaN(seconds) ? undefined : bounded(Math.ceil(seconds), min)

const bounded = (integer: number, min: number): string =>
  String(integer > min ? Math.min(integer, maxInteger) : min)
