/** Plain data as YAML: objects, lists and strings, and texts of several lines as blocks. */
import { wellFormed } from "./wellFormed.js"

export type Data = string | ReadonlyArray<Data> | { readonly [name: string]: Data | undefined }

/** Writes data. Strings that could be read as anything else are in quotation marks. */
export const yaml = (data: Data): string => `${lines(data).join("\n")}\n`

const lines = (data: Data): ReadonlyArray<string> => {
  if (typeof data === "string") return [scalar(data)]
  return Array.isArray(data)
    ? list(data as ReadonlyArray<Data>)
    : object(data as { readonly [name: string]: Data })
}

const list = (items: ReadonlyArray<Data>): ReadonlyArray<string> =>
  items.flatMap((item) => lines(item).map((line, index) => `${index === 0 ? "- " : "  "}${line}`))

const object = (fields: { readonly [name: string]: Data | undefined }): ReadonlyArray<string> =>
  Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : field(scalar(name), value)))

const field = (name: string, value: Data): ReadonlyArray<string> => {
  if (typeof value === "string") return isBlock(value) ? block(name, value) : [`${name}: ${scalar(value)}`]
  if (Object.keys(value).length === 0) return [`${name}: ${Array.isArray(value) ? "[]" : "{}"}`]
  return [`${name}:`, ...lines(value).map((line) => `  ${line}`)]
}

const block = (name: string, text: string): ReadonlyArray<string> => [
  `${name}: |-`,
  ...text.split("\n").map((line) => (line === "" ? "" : `  ${line}`))
]

/** A text of several lines that a block keeps as it is. */
const isBlock = (text: string): boolean => text.includes("\n") && /^[!-~][ -~\n]*[!-~]$/.test(text)

/** A word that YAML 1.1 reads as a string: not as a number, a date, true, false, null, or one of their other names. */
const plain = /^(?!(?:true|false|yes|no|on|off|null|y|n)$)[a-z_][a-z0-9_ ./-]*(?<! )$/i

const scalar = (text: string): string => (plain.test(text) ? text : quoted(text))

/** A string of JSON is one of YAML, as long as what YAML does not print is escaped. */
const quoted = (text: string): string =>
  JSON.stringify(wellFormed(text)).replace(
    /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`
  )
