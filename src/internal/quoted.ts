/**
 * Names and keys as they are written into a log. They may come from a client, so none of them may look like a line of its
 * own, steer a terminal, turn the direction of what is around it, or fill the log.
 */

const longest = 200

/**
 * What is no visible character of its own: controls, line and paragraph separators, marks of direction, characters without
 * width, variation selectors, tags, and halves of surrogate pairs.
 */
const unsafe = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\u2028\u2029\u034f\u115f\u1160\u3164\ufe00-\ufe0f"\\]/gu

const escaped = (char: string): string =>
  char === '"' || char === "\\" ? `\\${char}` : `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`

/** A name in quotation marks, on one line, as text. */
export const quoted = (name: string): string => {
  const shown = name.length > longest ? name.slice(0, longest) : name
  return `"${shown.replace(unsafe, escaped)}"${shown === name ? "" : `… (${name.length} characters)`}`
}
