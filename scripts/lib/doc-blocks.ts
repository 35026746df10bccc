// Finds the ```ts examples in markdown and in the doc comments of source files, with their lines. Used to compile the examples and
// to run docs/testing.md.

export interface DocBlock {
  /** The file of the example, relative to the repository. */
  readonly file: string
  /** The line of the first line of code, counted from 1. */
  readonly line: number
  readonly code: string
  /** False when the example opted out with the info string "ts no-check". */
  readonly checked: boolean
}

const opening = /^(\s*)(`{3,}|~{3,})\s*(.*)$/

/** The ```ts blocks of a markdown text. */
export const markdownBlocks = (file: string, text: string): ReadonlyArray<DocBlock> => {
  const lines = text.split(/\r?\n/)
  const blocks: Array<DocBlock> = []
  let index = 0
  while (index < lines.length) {
    const [, indent, fence, info] = opening.exec(lines[index]) ?? []
    index++
    if (indent === undefined || fence === undefined || info === undefined) continue
    const start = index
    while (index < lines.length && !closes(fence, lines[index])) index++
    const [language, ...flags] = info.trim().split(/\s+/)
    if (language === "ts" || language === "typescript") {
      blocks.push({
        file,
        line: start + 1,
        code: lines
          .slice(start, index)
          .map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line))
          .join("\n"),
        checked: !flags.includes("no-check")
      })
    }
    index++
  }
  return blocks
}

/** The ```ts blocks in the doc comments of a source text. */
export const sourceBlocks = (file: string, text: string): ReadonlyArray<DocBlock> => {
  const comments = text.replace(
    /(^[ \t]*\/\*\*[\s\S]*?\*\/)|[^\n]/gm,
    (_, comment: string | undefined) => comment?.replace(/^[ \t]*(\/\*\*|\*\/|\* ?)/gm, "") ?? ""
  )
  return markdownBlocks(file, comments)
}

/** The code moved down to its line in the file, so that reported positions can be opened in the file. */
export const inPlace = (block: DocBlock): string => "\n".repeat(block.line - 1) + block.code

const closes = (fence: string, line: string): boolean => {
  const trimmed = line.trim()
  return trimmed.length >= fence.length && trimmed === fence[0].repeat(trimmed.length)
}
