/** Names and keys as text for a log: they may come from a client, and cannot start a line, steer a terminal or fill the log. */

const longest = 200

/** Controls, separators of lines, marks of direction, characters without width, and halves of surrogate pairs. */
const unsafe = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}"\\]/gu

const escaped = (char: string): string =>
  char === '"' || char === "\\" ? `\\${char}` : `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`

/** A name in quotation marks, on one line, as text. */
export const quoted = (name: string): string => {
  const shown = name.length > longest ? name.slice(0, longest) : name
  return `"${shown.replace(unsafe, escaped)}"${shown === name ? "" : `… (${name.length} characters)`}`
}
