/** Options that say which metrics are meant, and their checks. */
import { type Check, InvalidOption, isList, isObject, join } from "../core/options.js"
import { toName } from "./exposition.js"

/** Names with two underscores in front are Prometheus's own. */
const isLabelName = (name: unknown): boolean =>
  typeof name === "string" && /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)

const expected = "the name of a label: letters, digits and underscores, and no digit at first"

export const labels: Check = (policy, option, value) => {
  if (!isObject(value)) throw new InvalidOption(policy, option, value, "an object of labels")
  for (const [name, each] of Object.entries(value)) {
    if (!isLabelName(name)) throw new InvalidOption(policy, option, name, expected)
    if (typeof each !== "string") throw new InvalidOption(policy, join(option, name), each, "a string")
  }
}

export const listOf =
  (check: Check): Check =>
  (policy, option, value) => {
    if (!isList(value)) throw new InvalidOption(policy, option, value, "a list")
    for (const [index, item] of value.entries()) check(policy, `${option}[${index}]`, item)
  }

export const labelNames = listOf((policy, option, value) => {
  if (!isLabelName(value)) throw new InvalidOption(policy, option, value, expected)
})

/** What the names of metrics begin with. */
export const prefix: Check = (policy, option, value) => {
  if (typeof value !== "string" || !/^[a-zA-Z][\w.]*$/.test(value)) {
    throw new InvalidOption(policy, option, value, 'a letter, followed by letters, digits, "_" and "."')
  }
}

export const prefixOf = (options: { readonly prefix?: string | undefined }): string =>
  toName(options.prefix ?? "resilience")
