// Text in columns, with colours on a terminal unless NO_COLOR is set (https://no-color.org).
import { stripVTControlCharacters } from "node:util"

const coloured = process.stdout.isTTY === true && !process.env.NO_COLOR

const style =
  (code: number) =>
  (text: string): string =>
    coloured ? `\u001b[${code}m${text}\u001b[0m` : text

export const bold = style(1)
export const dim = style(2)
export const red = style(31)
export const green = style(32)
export const yellow = style(33)

// Pads the visible text: colour codes take no room on the screen.
const padding = (text: string, width: number): string =>
  " ".repeat(Math.max(0, width - stripVTControlCharacters(text).length))

export const left = (text: string, width: number): string => text + padding(text, width)
export const right = (text: string, width: number): string => padding(text, width) + text
