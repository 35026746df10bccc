/** Structured fields (RFC 9651), as much as the rate limit fields use. Types that no field uses are read without their value. */

export type BareItem =
  | { readonly _tag: "integer"; readonly value: number }
  | { readonly _tag: "string"; readonly value: string }
  | { readonly _tag: "bytes"; readonly value: Uint8Array }
  /** A decimal, token, boolean, date or display string. */
  | { readonly _tag: "other" }

export interface Item {
  readonly value: BareItem
  readonly parameters: ReadonlyMap<string, BareItem>
}

/** No integer has more digits than fifteen. */
export const maxInteger = 999_999_999_999_999

/** The items of a list, or `undefined` when the field is malformed. An inner list counts as malformed: no field here allows one. */
export const parseList = (input: string): ReadonlyArray<Item> | undefined => {
  const cursor: Cursor = { input, at: 0 }
  const items: Array<Item> = []
  take(cursor, spaces)
  if (cursor.at === input.length) return items
  for (;;) {
    const item = parseItem(cursor)
    if (item === undefined) return undefined
    items.push(item)
    take(cursor, blanks)
    if (cursor.at === input.length) return items
    if (!takeCharacter(cursor, ",")) return undefined
    take(cursor, blanks)
  }
}

/** A string: quoted, with `?` in place of every character that a structured field string cannot hold. */
export const formatString = (value: string): string =>
  `"${value.replace(/[^\x20-\x7e]/gu, "?").replace(/["\\]/g, "\\$&")}"`

export const formatBytes = (bytes: Uint8Array): string =>
  `:${btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))}:`

// ------------------------------------------------------------------------------------------------------------ parsing

/** Where a reader is in its input. It moves on, and never leaves the call that made it. */
interface Cursor {
  readonly input: string
  at: number
}

const spaces = / */y
const blanks = /[ \t]*/y
const keyPattern = /[a-z*][a-z0-9_.*-]*/y
const decimalPattern = /-?[0-9]{1,12}\.[0-9]{1,3}/y
const integerPattern = /-?[0-9]{1,15}/y
const tokenPattern = /[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*/y
const booleanPattern = /\?[01]/y
const datePattern = /@-?[0-9]{1,15}/y
const displayStringPattern = /%"(?:[ !#$&-~]|%[0-9a-f]{2})*"/y
const base64Pattern = /:[A-Za-z0-9+/]*={0,2}:/y

const take = (cursor: Cursor, sticky: RegExp): string | undefined => {
  sticky.lastIndex = cursor.at
  const taken = sticky.exec(cursor.input)?.[0]
  cursor.at += taken?.length ?? 0
  return taken
}

const takeCharacter = (cursor: Cursor, character: string): boolean => {
  if (cursor.input[cursor.at] !== character) return false
  cursor.at++
  return true
}

const parseItem = (cursor: Cursor): Item | undefined => {
  const value = parseBareItem(cursor)
  if (value === undefined) return undefined
  const parameters = new Map<string, BareItem>()
  while (takeCharacter(cursor, ";")) {
    take(cursor, spaces)
    const key = take(cursor, keyPattern)
    if (key === undefined) return undefined
    // A key without a value is the boolean "true".
    const parameter = takeCharacter(cursor, "=") ? parseBareItem(cursor) : other
    if (parameter === undefined) return undefined
    parameters.set(key, parameter)
  }
  return { value, parameters }
}

const other: BareItem = { _tag: "other" }

const parseBareItem = (cursor: Cursor): BareItem | undefined => {
  switch (cursor.input[cursor.at]) {
    case '"':
      return parseString(cursor)
    case ":":
      return parseBytes(cursor)
    case "%":
      return parseDisplayString(cursor)
  }
  for (const skipped of [decimalPattern, booleanPattern, datePattern, tokenPattern]) {
    if (take(cursor, skipped) !== undefined) return other
  }
  const digits = take(cursor, integerPattern)
  // A zero that came with a sign has none afterwards.
  return digits === undefined ? undefined : { _tag: "integer", value: Number(digits) + 0 }
}

const parseString = (cursor: Cursor): BareItem | undefined => {
  const { input } = cursor
  let value = ""
  cursor.at++
  for (;;) {
    // Past the end there is no character, and neither branch takes that.
    const character = input[cursor.at++]
    if (character === '"') return { _tag: "string", value }
    if (character === "\\") {
      const escaped = input[cursor.at++]
      if (escaped !== '"' && escaped !== "\\") return undefined
      value += escaped
    } else if (character >= " " && character <= "~") {
      value += character
    } else {
      return undefined
    }
  }
}

const parseBytes = (cursor: Cursor): BareItem | undefined => {
  // Padding that is missing, and bits that are left over, are let pass, as RFC 9651 asks for.
  const digits = take(cursor, base64Pattern)?.replace(/[:=]/g, "")
  if (digits === undefined || digits.length % 4 === 1) return undefined
  return { _tag: "bytes", value: Uint8Array.from(atob(digits), (character) => character.charCodeAt(0)) }
}

const parseDisplayString = (cursor: Cursor): BareItem | undefined => {
  const taken = take(cursor, displayStringPattern)
  if (taken === undefined) return undefined
  try {
    // Refuses what is not UTF-8.
    decodeURIComponent(taken.slice(2, -1))
    return other
  } catch {
    return undefined
  }
}
