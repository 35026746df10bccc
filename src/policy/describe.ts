/** Prints policies and their settings: a line for each, and a tree for compositions. */
import * as Duration from "effect/Duration"
import * as Predicate from "effect/Predicate"
import type * as Policy from "./Policy.js"

/** The description of a policy, or of a plain function. */
export const describedOf = (policy: Policy.Described | ((self: never) => unknown)): Policy.Described =>
  "kind" in policy ? policy : { kind: "function", name: policy.name || "function", settings: {} }

const isDescribed = (part: unknown): part is Policy.Described =>
  Predicate.hasProperty(part, "kind") && Predicate.hasProperty(part, "settings")

/** The policies that a policy is made of, innermost first. */
export const partsOf = ({
  settings: { parts }
}: Policy.Described): ReadonlyArray<Policy.Described> | undefined =>
  Array.isArray(parts) && parts.length > 0 && parts.every(isDescribed) ? parts : undefined

interface Entry {
  readonly policy: Policy.Described
  readonly depth: number
  /** The kind of the policy that it is a part of. */
  readonly within: string | undefined
}

/** A loop, because pipelines may be nested to any depth. */
export const lines = (policy: Policy.Described): ReadonlyArray<string> => {
  const result: Array<string> = []
  const left: Array<Entry> = [{ policy, depth: 0, within: undefined }]
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const { depth, within, policy } = next
    const { kind, name, settings } = policy
    const parts = partsOf(policy)
    // A pipeline in a pipeline is a line of its own only where the user gave it a name.
    const merged = parts !== undefined && kind === within && kind === name
    if (!merged) {
      const title = name === kind ? kind : `${kind} "${name}"`
      const shown = inWords(parts === undefined ? settings : { ...settings, parts: undefined })
      result.push(`${"  ".repeat(depth)}${title}${parts !== undefined && shown === "" ? "" : `(${shown})`}`)
    }
    const inner = { depth: merged ? depth : depth + 1, within: kind }
    for (const part of parts ?? []) left.push({ policy: part, ...inner })
  }
  return result
}

const inWords = (settings: object): string =>
  Object.entries(settings)
    .filter(([, value]) => value !== undefined)
    .map(([option, value]) => `${option}: ${valueInWords(value)}`)
    .join(", ")

/** A setting in words. Tagged data reads like the call that made it. */
export const valueInWords = (value: unknown): string => {
  if (Duration.isDuration(value)) return Duration.format(value)
  if (typeof value === "function") return "computed"
  if (Array.isArray(value)) return `[${listed(value)}]`
  if (!Predicate.isRecord(value)) return String(value)
  const { _tag, ...rest } = value
  if (typeof _tag !== "string") return `{ ${inWords(value)} }`
  const given = Object.values(rest).filter((part) => part !== undefined)
  if (given.length !== 1) return `${_tag}(${inWords(rest)})`
  return `${_tag}(${Array.isArray(given[0]) ? listed(given[0]) : valueInWords(given[0])})`
}

const listed = (values: ReadonlyArray<unknown>): string => values.map(valueInWords).join(", ")
